"""``.safetensors``: one tensor read at a time from the mapped file."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vggexport.errors import WeightsError
from vggexport.weights.optional import require
from vggexport.weights.stored import AnyArray, Archive, StoredTensor, reading

_BFLOAT16 = "BF16"
_NUMPY_TYPES = ("F16", "F32", "F64")
_LENGTH_BYTES = 8
"""Of the header's length, little-endian, at the start of the file."""


def read_safetensors(path: Path) -> Archive:
    """The tensors of a ``.safetensors`` file by their names.

    Raises:
        WeightsError: The file is damaged.
        Unavailable: The safetensors package is not installed.
    """
    library = require("safetensors", f"{path}: a .safetensors file")
    with (
        reading(path, library.SafetensorError),
        library.safe_open(path, framework="numpy") as file,
    ):
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        return {
            name: StoredTensor(
                tuple(view.get_shape()), partial(_read, path, name, view.get_dtype())
            )
            for name, view in slices.items()
        }


def _read(path: Path, name: str, dtype: str) -> AnyArray:
    if dtype == _BFLOAT16:
        with reading(path):
            return _read_bfloat16(path, name)
    if dtype not in _NUMPY_TYPES:
        raise WeightsError(
            f"{path}: {name} holds {dtype}: store weights as F32 (F16, BF16 and F64 also do)"
        )
    library = require("safetensors", f"{path}: a .safetensors file")
    with (
        reading(path, library.SafetensorError),
        library.safe_open(path, framework="numpy") as file,
    ):
        array: AnyArray = file.get_tensor(name)
        return array


def _read_bfloat16(path: Path, name: str) -> AnyArray:
    """Bfloat16, which numpy has not, is the upper half of a float32.

    The header is read again by hand (https://huggingface.co/docs/safetensors#format); the library
    has checked it when the file was opened.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        entry: dict[str, Any] = json.loads(file.read(length))[name]
        start, end = entry["data_offsets"]
        file.seek(_LENGTH_BYTES + length + start)
        halves = np.frombuffer(file.read(end - start), "<u2")
    values = halves.astype(np.uint32)
    values <<= 16
    return values.view(np.float32).reshape(entry["shape"])
