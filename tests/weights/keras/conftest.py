"""Small networks as people build them, saved by Keras, and the described network in plain numpy."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from vggexport.formats.keras.owner_runner import computations
from vggexport.weights.keras.network import DescribedNetwork

SHAPE = (12, 8, 3)


def _settle(model: keras.Model) -> keras.Model:
    """Weights of which no two are equal, and answers that differ from image to image."""
    random = np.random.default_rng(3)
    for variable in model.variables:
        if variable.dtype != "float32" or variable.path.endswith(("/mean", "/variance")):
            continue  # counters and random state; what Normalization was adapted to
        values = random.standard_normal(variable.shape) * 0.3
        if len(variable.shape) > 1:
            values *= 3 * np.sqrt(2 / np.prod(variable.shape[:-1]))
        elif variable.name in ("gamma", "moving_variance"):
            values = random.uniform(0.5, 1.5, variable.shape)
        variable.assign(values)
    return model


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (6, *SHAPE)).astype(np.float32)


@pytest.fixture
def save(tmp_path) -> Callable[..., tuple[keras.Model, Path]]:
    """(model, suffix) -> the model with weights set, and its file."""

    def write(model: keras.Model, suffix: str = ".keras") -> tuple[keras.Model, Path]:
        path = tmp_path / f"model{suffix}"
        _settle(model).save(path)
        return model, path

    return write


def _convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    side = len(kernel)
    margin = side // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return np.einsum("nyxchw,hwco->nyxo", windows, kernel.astype(np.float64))


def _pool(x: np.ndarray) -> np.ndarray:
    count, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(count, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


_HEADS = {
    "flatten": lambda x: x.reshape(len(x), -1),
    "average": lambda x: x.mean(axis=(1, 2)),
    "max": lambda x: x.max(axis=(1, 2)),
}


def _softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


_ENDS = {"softmax": _softmax, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}


def _forward(network: DescribedNetwork, images: np.ndarray) -> np.ndarray:
    x = images.astype(np.float64)
    if network.preprocessing:
        front = network.preprocessing
        x = x[..., list(front.order)] * front.scale + front.offset
    tensors = iter(network.tensors)
    for block, pooled in zip(network.blocks, network.pooled, strict=True):
        for size, filters in block:
            layer = next(tensors)
            kernel = layer.kernel.read()
            assert kernel.shape == layer.kernel.shape == (size, size, x.shape[-1], filters)
            x = np.maximum(_convolve(x, kernel) + layer.bias.read(), 0)
        x = _pool(x) if pooled else x
    x = _HEADS[network.pooling](x)
    for units, relu in (*network.hidden, (network.classes, False)):
        layer = next(tensors)
        assert layer.bias.read().shape == layer.bias.shape == (units,)
        x = x @ layer.kernel.read().astype(np.float64) + layer.bias.read()
        x = np.maximum(x, 0) if relu else x
    assert not list(tensors)
    return _ENDS[network.head_activation](x)


@pytest.fixture(scope="session")
def forward() -> Callable[[DescribedNetwork, np.ndarray], np.ndarray]:
    """(network, RGB 0...255) -> probabilities, in float64."""
    return _forward


def _by_layers(path: Path, images: np.ndarray, added: str = "softmax") -> np.ndarray:
    values = keras.ops.convert_to_tensor(images)
    for compute in computations(path, added):
        values = compute(values)
    return np.asarray(values)


@pytest.fixture(scope="session")
def by_layers() -> Callable[..., np.ndarray]:
    """(file, images, activation that is added to logits) -> answers of the checks' reference."""
    return _by_layers
