"""PNG files whose bytes depend on their pixels alone.

Encoders compress, and compressed bytes differ from one zlib to the next. These files are not
compressed, which every decoder takes: the PNG specification (https://www.w3.org/TR/png-3/,
sections 5.2 and 11) and stored blocks of RFC 1951, 3.2.4, inside RFC 1950.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from calibration.decoding import DECODING_ERRORS
from vggexport.errors import ArtifactError, one_line

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB_8_BIT = bytes([8, 2, 0, 0, 0])  # bit depth, colour type, compression, filter, interlace
_ZLIB_HEADER = b"\x78\x01"
_BLOCK_BYTES = 0xFFFF  # of a stored block, at most


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of an image, uint8 (height, width, 3) in RGB."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">2I", width, height) + _RGB_8_BIT
    parts = (b"IHDR", header), (b"IDAT", _stored(rows.tobytes())), (b"IEND", b"")
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in parts)


def read_png(path: Path, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The pixels of a PNG file of :func:`encode_png`, uint8 (height, width, 3).

    It must have ``size``, (width, height), where that is given.

    Raises:
        ArtifactError: It cannot be read, is of another kind or size, or is compressed: an image
            takes no more memory than its file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow only warns of some damage
            with Image.open(path, formats=["PNG"]) as image:
                _check_kind(image, size, path.stat().st_size)
                return np.array(image)
    except (*DECODING_ERRORS, Warning) as error:
        expected = f"an RGB image of {size[0]}x{size[1]}" if size else "an RGB image"
        raise ArtifactError(
            f"{path.name} is not {expected}, uncompressed: {one_line(error)}"
        ) from error


def _check_kind(image: Image.Image, size: tuple[int, int] | None, file_bytes: int) -> None:
    """Refuses an image before it is decoded."""
    if image.mode != "RGB" or image.size != (size or image.size):
        raise ValueError(f"{image.mode} of {image.width}x{image.height}")
    if 3 * image.width * image.height > file_bytes:
        raise ValueError(f"{image.width}x{image.height} pixels in {file_bytes:,} bytes")


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def _stored(data: bytes) -> bytes:
    """A zlib stream that holds the data as it is."""
    blocks = [data[start : start + _BLOCK_BYTES] for start in range(0, len(data), _BLOCK_BYTES)]
    stream = b"".join(
        struct.pack("<B2H", block is blocks[-1], len(block), len(block) ^ 0xFFFF) + block
        for block in blocks
    )
    return _ZLIB_HEADER + stream + struct.pack(">I", zlib.adler32(data))
