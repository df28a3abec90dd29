"""ONNX files of the tiny network, as they are and edited."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest


@pytest.fixture
def expected(tiny, tiny_weights, images, numpy_network) -> dict[str, np.ndarray]:
    return numpy_network(tiny, tiny_weights, images)


@pytest.fixture
def names(tiny) -> list[str]:
    return [layer.name for layer in tiny.layers]


@pytest.fixture
def edited(tmp_path) -> Callable[..., Path]:
    """(path, edit) -> another file that ``edit(model)`` changed."""

    def write(path: Path, edit: Callable[[onnx.ModelProto], object]) -> Path:
        model = onnx.load(path)
        edit(model)
        onnx.save(model, written := tmp_path / "edited.onnx")
        return written

    return write
