"""A tiny network, its arrays, and the network itself written once more in plain numpy."""

import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.weights.torch_opcodes import (
    legacy,
    pickle_of,
    ramp,
)
from vggexport.network.head import fully_connected
from vggexport.network.layers import LayerKind
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks


@pytest.fixture(scope="session")
def tiny() -> VGGSpec:
    return VGGSpec(
        "tiny",
        parse_blocks("conv3-4 conv1-6 | conv3-8"),
        classes=5,
        hidden=fully_connected(16, 16),
        input_size=(16, 16),
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


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def _torch_tensor(key: str, array: np.ndarray) -> bytes:
    """Opcodes of one float32 tensor, as torch pickles it."""
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(key) + _text("cpu")
    strides = tuple(step // array.itemsize for step in array.strides)
    arguments = (b"J" + bytes(4), _numbers(array.shape), _numbers(strides), b"\x89}")
    size = b"J" + struct.pack("<i", array.size) + b"tQ"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + size + b"".join(arguments) + b"tR"


@pytest.fixture
def save_torch() -> Callable[..., None]:
    """Writes float32 arrays as a state dict, under a key of a checkpoint if one is named."""

    def save(path: Path, arrays: Mapping[str, np.ndarray], key: str | None = None) -> None:
        entries = b"".join(_text(name) + _torch_tensor(name, a) for name, a in arrays.items())
        value = b"}(" + entries + b"u"
        if key is not None:
            value = b"}(" + _text(key) + value + b"u"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("vgg/data.pkl", b"\x80\x02" + value + b".")
            for name, array in arrays.items():
                archive.writestr(f"vgg/data/{name}", np.ascontiguousarray(array).tobytes())

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
        elif layer.kind is LayerKind.GLOBAL_AVERAGE_POOLING:
            x = x.mean(axis=(1, 2))
        elif layer.kind is LayerKind.GLOBAL_MAX_POOLING:
            x = x.max(axis=(1, 2))
        elif layer.kind is LayerKind.FULLY_CONNECTED:
            x = x @ weights[layer.kernel.name].astype(np.float64) + weights[layer.bias.name]
            x = np.maximum(x, 0) if layer.relu else x
    return x


@pytest.fixture
def native_logits():
    """The native convention in float64: (weights, spec, mean, images NHWC) -> logits."""
    return _native_logits


@pytest.fixture
def in_zip(tmp_path):
    """Writes a zip container: opcodes, the storages' bytes, further members."""

    def save(value, storages=None, folder="archive", **members):
        path = tmp_path / "model.pth"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{folder}/data.pkl", pickle_of(value))
            for key, content in (storages or {"0": ramp(6).tobytes()}).items():
                archive.writestr(f"{folder}/data/{key}", content)
            for member, content in members.items():
                archive.writestr(f"{folder}/{member}", content)
        return path

    return save


@pytest.fixture
def in_a_row(tmp_path):
    """Writes the container of torch before 1.6: as :func:`legacy`."""

    def save(*arguments, **named):
        path = tmp_path / "model.pth"
        path.write_bytes(legacy(*arguments, **named))
        return path

    return save
