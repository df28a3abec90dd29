"""A tiny network, its arrays, and the network itself written once more in plain numpy."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from vggexport.network.layers import LayerKind
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks


@pytest.fixture
def tiny() -> VGGSpec:
    return VGGSpec(
        "tiny", parse_blocks("conv3-4 conv1-6 | conv3-8"), classes=5, fc_units=16, input_size=16
    )


@pytest.fixture
def arrays(tiny) -> dict[str, np.ndarray]:
    """Every tensor of ``tiny``, all values different."""
    random = np.random.default_rng(0)
    return {
        name: (random.standard_normal(tensor.shape) / 10).astype(np.float32)
        for name, tensor in tiny.tensors.items()
    }


@pytest.fixture
def saved_npz(tmp_path, arrays) -> Callable[..., Path]:
    """Writes ``arrays`` with changes: a new array, or None to leave one out."""

    def save(changes: Mapping[str, np.ndarray | None] | None = None) -> Path:
        changed = arrays | dict(changes or {})
        path = tmp_path / "weights.npz"
        np.savez(path, **{name: array for name, array in changed.items() if array is not None})
        return path

    return save


def _convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    side, _, _, filters = kernel.shape
    margin = side // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    height, width = x.shape[1:3]
    total = np.zeros((*x.shape[:3], filters))
    for row in range(side):
        for column in range(side):
            window = padded[:, row : row + height, column : column + width]
            total += window @ kernel[row, column]
    return total


def _pool(x: np.ndarray) -> np.ndarray:
    count, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(count, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def _native_logits(weights: Mapping[str, np.ndarray], spec: VGGSpec, mean, images) -> np.ndarray:
    x = images.astype(np.float64) - np.array(mean)
    for layer in spec.layers:
        if layer.kind is LayerKind.CONVOLUTION:
            x = _convolve(x, weights[layer.kernel.name].astype(np.float64))
            x = np.maximum(x + weights[layer.bias.name], 0)
        elif layer.kind is LayerKind.MAX_POOLING:
            x = _pool(x)
        elif layer.kind is LayerKind.FLATTEN:
            x = x.reshape(len(x), -1)
        elif layer.kind is LayerKind.FULLY_CONNECTED:
            x = x @ weights[layer.kernel.name].astype(np.float64) + weights[layer.bias.name]
            x = x if layer.name == "predictions" else np.maximum(x, 0)
    return x


@pytest.fixture
def native_logits():
    """The native convention in float64: (weights, spec, mean, images NHWC) -> logits."""
    return _native_logits
