"""``.safetensors``: one tensor read at a time from the mapped file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from vggexport.errors import WeightsError
from vggexport.weights.optional import require
from vggexport.weights.stored import AnyArray, Archive, Float32Array, StoredTensor, reading

_BFLOAT16 = "BF16"
_NUMPY_TYPES = ("F16", "F32", "F64")
_FLOAT32_BYTES = 4
_LENGTH_BYTES = 8
"""Of the header's length, little-endian, at the start of the file."""


def read_safetensors(path: Path) -> Archive:
    """The tensors of a ``.safetensors`` file by their names.

    Raises:
        WeightsError: The file is damaged.
        Unavailable: The safetensors package is not installed.
    """
    with _opened(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        return {
            name: StoredTensor(
                tuple(view.get_shape()), partial(_read, path, name, view.get_dtype())
            )
            for name, view in slices.items()
        }


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    library = require("safetensors", f"{path}: a .safetensors file")
    with reading(path, library.SafetensorError), library.safe_open(path, framework="numpy") as file:
        yield file


def read_metadata(path: Path) -> dict[str, str]:
    """The text that a ``.safetensors`` file carries beside its tensors, by name.

    Raises:
        WeightsError: The file is damaged.
        Unavailable: The safetensors package is not installed.
    """
    with _opened(path) as file:
        return dict(file.metadata() or {})


def write_safetensors(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    arrays: Iterable[Float32Array],
    metadata: Mapping[str, str],
) -> None:
    """Writes float32 tensors one by one; the library holds all of them twice while it writes.

    The format is a length, a JSON header and the tensors' bytes
    (https://huggingface.co/docs/safetensors#format). The arrays come in the order of ``shapes``;
    each is let go of when it is written. Metadata are text by name.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + prod(shape) * _FLOAT32_BYTES
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)  # tensors begin on a boundary of eight bytes
    with path.open("wb") as file:
        file.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
        for shape, array in zip(shapes.values(), arrays, strict=True):
            if array.shape != shape:
                raise ValueError(f"tensor of shape {array.shape} where {shape} was announced")
            file.write(np.ascontiguousarray(array, "<f4").data)


def _read(path: Path, name: str, dtype: str) -> AnyArray:
    if dtype not in (_BFLOAT16, *_NUMPY_TYPES):
        raise WeightsError(
            f"{path}: {name} holds {dtype}: store weights as F32 (F16, BF16 and F64 also do)"
        )
    if dtype == _BFLOAT16:
        require("ml_dtypes", f"{path}: {name} in BF16")  # once it is imported, numpy has the type
    with _opened(path) as file:
        array: AnyArray = file.get_tensor(name)
        return array.astype(np.float32) if dtype == _BFLOAT16 else array
