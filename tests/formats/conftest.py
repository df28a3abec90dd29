"""Files of a network with layers of one shape, which can be exchanged; and files to change."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from vggexport.artifact import Artifact
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import FORMATS, load_exporter, load_weight_reader
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.precision import Precision

TWINS = ("block1_conv2", "block1_conv3")


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="session")
def extract():
    """(format, path) -> the weights in a file."""
    return lambda name, path: load_weight_reader(name)(path)


@pytest.fixture(scope="session")
def twins() -> tuple[str, str]:
    """Layers of one shape."""
    return TWINS


@pytest.fixture(scope="session")
def twin_weights(make_weights):
    spec = VGGSpec(
        "twins", parse_blocks("conv3-4 conv3-4 conv3-4"), 4, fully_connected(64, 64), (8, 8)
    )
    return spec, make_weights(spec)


@pytest.fixture(scope="session")
def twin_file(twin_weights, weights_record, tmp_path_factory):
    """format -> a float32 file in which ``TWINS`` have one shape; not to be changed."""
    spec, weights = twin_weights

    @cache
    def write(name):
        path = tmp_path_factory.mktemp("twins") / f"net{FORMATS[name].suffix}"
        artifact = Artifact(path.name, name, Precision.FLOAT32, spec, weights_record)
        load_exporter(name).export(ExportRequest(artifact, weights), path)
        return path

    return write


@pytest.fixture(scope="session")
def exchanged_weights(twin_weights):
    """What is read where the twins are exchanged."""
    _, weights = twin_weights
    there, back = TWINS
    exchanged = dict(weights)
    for tensor in ("kernel", "bias"):
        exchanged[f"{there}/{tensor}"] = weights[f"{back}/{tensor}"]
        exchanged[f"{back}/{tensor}"] = weights[f"{there}/{tensor}"]
    return exchanged


@pytest.fixture
def copied(tmp_path):
    """path -> a copy of the file or directory, to be changed."""

    def copy(path):
        target = tmp_path / path.name
        return shutil.copytree(path, target) if path.is_dir() else shutil.copyfile(path, target)

    return copy


@pytest.fixture(scope="session")
def differing():
    """(weights, weights) -> names of the tensors that are not equal bit by bit."""

    def names(found, expected):
        return [name for name in expected if found[name].tobytes() != expected[name].tobytes()]

    return names
