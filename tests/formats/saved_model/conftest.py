"""SavedModel directories of the tiny network."""

import shutil
from dataclasses import replace

import pytest

from vggexport.formats.registry import load_exporter


@pytest.fixture(scope="module")
def export(make_request, tmp_path_factory):
    """(input_dtype, batch) -> a directory that is not to be changed."""
    folder, exporter = tmp_path_factory.mktemp("exported"), load_exporter("savedmodel")

    def write(input_dtype="float32", batch=None):
        path = folder / f"{input_dtype}-{batch}"
        if not path.exists():
            request = make_request("float32", input_dtype, batch)
            artifact = replace(request.artifact, format="savedmodel")
            exporter.export(replace(request, artifact=artifact), path)
        return path

    return write


@pytest.fixture
def copied(export, tmp_path):
    """A directory to change."""
    return shutil.copytree(export(), tmp_path / "net")
