"""Images from the .npz and .npy files that NumPy writes.

An .npz is a zip archive of .npy files; their header is described in ``numpy.lib.format``.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from calibration.errors import CalibrationDataError, one_line

ARRAY_NAME = "images"
NPY_EXTENSION = ".npy"

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
_WHITE = 255
_SHAPES = {
    "NC": (", channels first", f"{ARRAY_NAME}.transpose(0, 2, 3, 1)"),
    "NHA": (", with alpha", f"{ARRAY_NAME}[..., :3]"),
    "NH1": (", gray", f"np.repeat({ARRAY_NAME}, 3, axis=-1)"),
    "N1": (", gray, channels first", f"np.repeat({ARRAY_NAME}.transpose(0, 2, 3, 1), 3, axis=-1)"),
    "3C": (", one image", f"{ARRAY_NAME}[None]"),
    "3W": (", gray", f"np.repeat({ARRAY_NAME}[..., None], 3, axis=-1)"),
}
"""By the kind of shape: what it is, and what makes (N, H, W, 3) of it."""
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Header:
    """What the .npy header says, and its own length."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[np.generic]
    size_bytes: int


def open_array(path: Path) -> NDArray[np.uint8]:
    """The images of an .npz file (:func:`open_npz`) or of a bare .npy file.

    Raises:
        CalibrationDataError: The file is damaged, or holds no such array.
    """
    return open_npy(path) if path.suffix.lower() == NPY_EXTENSION else open_npz(path)


def open_npy(path: Path) -> NDArray[np.uint8]:
    """The array of an .npy file, mapped.

    Returns:
        Shape (N, H, W, 3), uint8 RGB, N, H and W at least 1.

    Raises:
        CalibrationDataError: The file is damaged, or holds something else.
    """
    with _refusing(path):
        array = npy.open_memmap(path, mode="r")
        check_images(array.shape, array.dtype, lambda: _extremes([array]))
        images: NDArray[np.uint8] = array
        return images


def open_npz(path: Path) -> NDArray[np.uint8]:
    """The array called ``images`` of an .npz file, or its only array.

    An array that is stored uncompressed is mapped, so that only the images used are kept in
    memory; any other is loaded. Before that its checksum is verified. Nothing is unpickled.

    Returns:
        Shape (N, H, W, 3), uint8 RGB, N, H and W at least 1.

    Raises:
        CalibrationDataError: The file is damaged, or has no such array. A wrong shape is found
            from the header alone, of another dtype the values are looked at.
    """
    with _refusing(path), zipfile.ZipFile(path) as archive:
        member = _member(archive)
        with archive.open(member) as file:
            header = _read_header(file)
            check_images(header.shape, header.dtype, lambda: _extremes(_chunks(file, header.dtype)))
            _check_length(header, member)
            _verify_checksum(file)
        return _map_or_load(path, archive, member, header)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except _ARCHIVE_ERRORS as error:
        raise CalibrationDataError(
            f"data {str(path)!r} cannot be used: {one_line(error)}; expected one uint8 "
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


def check_images(
    shape: tuple[int, ...], dtype: np.dtype[np.generic], extremes: Callable[[], tuple[float, float]]
) -> None:
    """Refuses what is not uint8 (N, H, W, 3), with the line of NumPy that makes it so.

    Args:
        shape: Of the array.
        dtype: Of the array.
        extremes: Gives its smallest and largest value.

    Raises:
        ValueError: It is something else.
    """
    is_right = len(shape) == len("NHWC") and shape[-1] == _CHANNELS
    if is_right and dtype == np.uint8 and min(shape) >= 1:
        return
    said = f"its array is {dtype} of shape {shape}"
    layout, made = ("", ARRAY_NAME) if is_right else _SHAPES.get(_kind(shape), ("", ""))
    if made and dtype != np.uint8 and dtype.kind in "fiu" and min(shape) >= 1:
        low, high = extremes()
        said += f" with values {low:g}...{high:g}"
        made = _levels(made, low, high)
    raise ValueError(f"{said}{layout}{f': save {made}' if made not in ('', ARRAY_NAME) else ''}")


def _kind(shape: tuple[int, ...]) -> str:
    """Which of :data:`_SHAPES` it is."""
    channels = {1: "1", _CHANNELS: "C", _CHANNELS + 1: "A"}
    if len(shape) == len("NHWC"):
        first, last = channels.get(shape[1], "H"), channels.get(shape[3], "W")
        return f"NH{last}" if last != "W" else f"N{first}"
    return f"{len(shape)}{channels.get(shape[-1], 'W')}" if shape else ""


def _levels(made: str, low: float, high: float) -> str:
    """What makes levels of values, or in words that nothing does."""
    if low >= 0 and high <= 1:
        return f"np.rint(255 * {made}).astype(np.uint8)"
    if -1 <= low < 0 and high <= 1:
        return f"np.rint(127.5 * ({made} + 1)).astype(np.uint8)"
    if low >= 0 and high <= _WHITE:
        return f"np.rint({made}).astype(np.uint8)"
    if low >= 0:
        return f"np.rint({made} * (255 / 65535)).astype(np.uint8), of 16 bits, if 65535 is white"
    return f"{made} as it was before a mean was subtracted or it was normalized, uint8 0...255"


def _extremes(parts: Iterable[NDArray[Any]]) -> tuple[float, float]:
    pairs = [(float(part.min()), float(part.max())) for part in parts if part.size]
    lows, highs = zip(*pairs, strict=True)
    return float(np.min(lows)), float(np.max(highs))


def _chunks(file: IO[bytes], dtype: np.dtype[np.generic]) -> Iterator[NDArray[Any]]:
    while data := file.read(_CHUNK_BYTES):
        yield np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)


def _check_length(header: _Header, member: zipfile.ZipInfo) -> None:
    expected_bytes = header.size_bytes + prod(header.shape)
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
