"""From an image file to the pixels that the network sees.

The scale of 256 : 224 and the centre crop are the usual single-scale evaluation of VGG networks
(Simonyan and Zisserman, arXiv 1409.1556, section 3.2: smallest side Q = 256 for 224 inputs).
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from calibration.errors import UnreadableImageError, one_line

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""Pillow's names of the formats that are tried; others, such as EPS, may start programs."""

SHORT_SIDE_RATIO = 256 / 224

Size = int | tuple[int, int]
"""Side of a square, or height and width, in pixels, at least 1."""

DECODING_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's decoders meet damaged, odd and huge files with: nearly any built-in error."""

_INTEGER_SCALES = (255.0, 65535.0)
_FLOAT_SCALES = (1.0, 255.0, 65535.0)


def decode(path: Path) -> Image.Image:
    """Reads an image file; see :func:`decode_bytes`.

    Raises:
        UnreadableImageError: The file cannot be read or decoded.
    """
    return decode_bytes(read_bytes(path, label=str(path)), label=str(path))


def read_bytes(path: Path, *, label: str) -> bytes:
    """Content of a file.

    Raises:
        UnreadableImageError: It cannot be read; the message names ``label``.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(label, error.strerror or one_line(error)) from error


def decode_bytes(data: bytes, *, label: str) -> Image.Image:
    """Decodes an image file's content.

    The EXIF orientation is applied, transparency is composited on white, palettes, grayscale
    and CMYK become RGB, and of an animation the first frame is taken. Grayscale deeper than 8
    bits is scaled to 0...255: 16-bit files by 1/257; 32-bit and float files by the least full
    scale that holds their largest value, of 1 (float only), 255 and 65535.

    Pillow's warnings are turned off for the whole process, because ``warnings.catch_warnings``
    is not safe in the thread that reads ahead.

    Args:
        data: Content of the file.
        label: What to call the image in errors.

    Returns:
        An image of mode RGB.

    Raises:
        UnreadableImageError: It is damaged, too large, or not in one of :data:`FORMATS`.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_extent(image)
            return _rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:  # its own message has an address in it
        known = ", ".join(FORMATS)
        raise UnreadableImageError(label, f"not an image in one of {known}") from error
    except DECODING_ERRORS as error:
        raise UnreadableImageError(label, one_line(error)) from error


def height_and_width(size: Size) -> tuple[int, int]:
    """Both sides of a size."""
    return size if isinstance(size, tuple) else (size, size)


def prepare(image: Image.Image, size: Size) -> NDArray[np.uint8]:
    """Resizes until ``round(side * 256 / 224)`` is covered, bilinear, and crops the centre.

    For a square that is the length of the short side. Only the cropped part is computed, so a very
    long image needs no more memory than others.

    Args:
        image: Mode RGB.
        size: Of the result.

    Returns:
        Shape (height, width, 3), uint8 RGB.
    """
    rows, columns = height_and_width(size)
    cover = round(rows * SHORT_SIDE_RATIO), round(columns * SHORT_SIDE_RATIO)
    return centre_crop(image, size, cover)


def centre_crop(image: Image.Image, size: Size, cover: tuple[int, int]) -> NDArray[np.uint8]:
    """The same, by the height and width to cover, each at least that of the crop."""
    rows, columns = height_and_width(size)
    scale = max(cover[0] / image.height, cover[1] / image.width)
    width, height = (round(side * scale) for side in image.size)
    return crop(image, size, (width, height), ((width - columns) // 2, (height - rows) // 2))


def crop(
    image: Image.Image, size: Size, scaled: tuple[int, int], corner: tuple[int, int]
) -> NDArray[np.uint8]:
    """A part of an image that is resized, bilinear; the rest of it is not computed.

    Args:
        image: Mode RGB.
        size: Of the part.
        scaled: Width and height that all of the image is resized to.
        corner: Left and upper edge of the part in that.

    Returns:
        Shape (height, width, 3), uint8 RGB.
    """
    rows, columns = height_and_width(size)
    left, top = corner
    horizontal, vertical = image.width / scaled[0], image.height / scaled[1]
    box = (
        left * horizontal,
        top * vertical,
        min((left + columns) * horizontal, image.width),  # rounding may lead beyond the edge
        min((top + rows) * vertical, image.height),
    )
    return np.array(image.resize((columns, rows), Image.Resampling.BILINEAR, box=box))


def _check_extent(image: Image.Image) -> None:
    """Refuses before decoding what Pillow itself refuses only at twice the limit."""
    pixels, limit = image.width * image.height, Image.MAX_IMAGE_PIXELS
    if limit is not None and pixels > limit:
        raise ValueError(f"{image.width}x{image.height} pixels are more than {limit}")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bit(image)).convert("RGB")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", colours.size, "white")
        return Image.alpha_composite(white, colours).convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> NDArray[np.uint8]:
    """Grayscale of more than 8 bits as (height, width) uint8; the transparent value is white."""
    values = np.asarray(image, dtype=np.float64)
    full_scale = _full_scale(image.mode, values)
    if (transparent := image.info.get("transparency")) is not None:
        values = np.where(values == transparent, full_scale, values)
    return np.rint(values * (255.0 / full_scale)).astype(np.uint8)


def _full_scale(mode: str, values: NDArray[np.float64]) -> float:
    """The value that means white."""
    if mode.startswith("I;16"):
        return 65535.0
    low, high = float(values.min()), float(values.max())
    for full_scale in _INTEGER_SCALES if mode == "I" else _FLOAT_SCALES:
        if low >= 0 and high <= full_scale:
            return full_scale
    raise ValueError(f"its values {low:g}...{high:g} are outside of 0...65535")
