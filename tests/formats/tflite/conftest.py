"""TFLite files, changed by the classes that are generated of their schema."""

from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema


@pytest.fixture
def edited(tmp_path):
    """(path, edit) -> the file after ``edit(model)``, written anew by the generated classes."""

    def write(path: Path, edit) -> Path:
        model = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)
        edit(model)
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), b"TFL3")
        changed = tmp_path / "changed.tflite"
        changed.write_bytes(bytes(builder.Output()))
        return changed

    return write


@pytest.fixture
def tflite(export):
    def path(*arguments, **options) -> Path:
        return export(*arguments, format="tflite", **options)

    return path


@pytest.fixture(scope="module")
def names(tiny) -> list[str]:
    return [layer.name for layer in tiny.layers]


@pytest.fixture(scope="module")
def expected(tiny, tiny_weights, images, numpy_network) -> dict[str, np.ndarray]:
    return numpy_network(tiny, tiny_weights, images)
