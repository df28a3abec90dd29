"""Images from the .npz files that ``numpy.savez`` and ``numpy.savez_compressed`` write.

An .npz is a zip archive of .npy files; their header is described in ``numpy.lib.format``.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from calibration.errors import CalibrationDataError, one_line

ARRAY_NAME = "images"

_ARCHIVE_ERRORS = (
    EOFError,
    LookupError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
_LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip member: lengths of its name and extra field
_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_CHANNELS = 3
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Header:
    """What the .npy header says, and its own length."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[np.generic]
    size_bytes: int


def open_npz(path: Path) -> NDArray[np.uint8]:
    """The array called ``images`` of an .npz file, or its only array.

    An array that is stored uncompressed is mapped, so that only the images used are kept in
    memory; any other is loaded. Before that its checksum is verified. Nothing is unpickled.

    Returns:
        Shape (N, H, W, 3), uint8 RGB, N, H and W at least 1.

    Raises:
        CalibrationDataError: The file is damaged, or has no such array. A wrong dtype or shape
            is found from the header alone.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = _member(archive)
            with archive.open(member) as file:
                header = _read_header(file)
                _check_header(header, member)
                _verify_checksum(file)
            return _map_or_load(path, archive, member, header)
    except _ARCHIVE_ERRORS as error:
        raise CalibrationDataError(
            f"calibration data {str(path)!r} cannot be used: {one_line(error)}; expected one uint8 "
            f"array of shape (N, H, W, 3), as numpy.savez(file, {ARRAY_NAME}=...) writes it"
        ) from error


def _member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    arrays = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    named = [info for info in arrays if info.filename == f"{ARRAY_NAME}.npy"]
    candidates = named or arrays
    if len(candidates) != 1:
        names = ", ".join(info.filename.removesuffix(".npy") for info in candidates)
        raise ValueError(f"it has {len(candidates)} arrays ({names or 'none'})")
    return candidates[0]


def _read_header(file: IO[bytes]) -> _Header:
    version = npy.read_magic(file)
    if version not in _HEADER_READERS:
        raise ValueError(f"its .npy format version is {version}")
    shape, fortran_order, dtype = _HEADER_READERS[version](file)
    return _Header(shape, fortran_order, dtype, file.tell())


def _check_header(header: _Header, member: zipfile.ZipInfo) -> None:
    shape = header.shape
    wrong_shape = len(shape) != len("NHWC") or shape[-1] != _CHANNELS or min(shape) < 1
    if header.dtype != np.uint8 or wrong_shape:
        raise ValueError(f"its array is {header.dtype} of shape {shape}")
    expected_bytes = header.size_bytes + prod(shape)
    if member.file_size != expected_bytes:
        raise ValueError(f"its array has {member.file_size} bytes instead of {expected_bytes}")


def _map_or_load(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: _Header
) -> NDArray[np.uint8]:
    if member.compress_type != zipfile.ZIP_STORED or header.fortran_order:
        with archive.open(member) as file:
            images: NDArray[np.uint8] = npy.read_array(file, allow_pickle=False)
        return images
    offset = _data_offset(path, member) + header.size_bytes
    return np.memmap(path, dtype=np.uint8, mode="r", offset=offset, shape=header.shape)


def _verify_checksum(file: IO[bytes]) -> None:
    """Reads to the end, where ``zipfile`` compares the checksum."""
    while file.read(_CHUNK_BYTES):
        pass


def _data_offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin in the file (APPNOTE.TXT of PKWARE, section 4.3.7)."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        name_bytes, extra_bytes = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    return int(member.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes)
