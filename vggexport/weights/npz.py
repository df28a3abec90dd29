"""``.npz``: NumPy's zip of arrays, one member read at a time, never a pickle."""

from __future__ import annotations

import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy_format

from vggexport.errors import WeightsError
from vggexport.weights.stored import AnyArray, Archive, StoredTensor, reading

_ENDING = ".npy"
_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,  # what numpy says of a damaged member
    RuntimeError,  # an encrypted member; NotImplementedError, a method of compression, is one too
)


def read_npz(path: Path) -> Archive:
    """The arrays of an ``.npz`` by their names.

    Raises:
        WeightsError: The file is damaged, encrypted, or holds pickled objects.
    """
    with reading(path, *_ERRORS), zipfile.ZipFile(path) as archive:
        return {
            member.removesuffix(_ENDING): StoredTensor(
                _shape(path, archive, member), partial(_read, path, member)
            )
            for member in archive.namelist()
        }


def _shape(path: Path, archive: zipfile.ZipFile, member: str) -> tuple[int, ...]:
    with archive.open(member) as file:
        shape, dtype = _header(file)
    if dtype.hasobject:
        raise WeightsError(
            f"{path}: {member.removesuffix(_ENDING)} holds Python objects, and pickles are never "
            "opened: save plain float32 arrays"
        )
    return shape


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = npy_format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = npy_format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = npy_format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of the .npy format")
    return shape, dtype


def _read(path: Path, member: str) -> AnyArray:
    with reading(path, *_ERRORS), zipfile.ZipFile(path) as archive, archive.open(member) as file:
        array: AnyArray = npy_format.read_array(file, allow_pickle=False)
        return array
