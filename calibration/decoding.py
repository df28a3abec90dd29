"""From the content of an image file to RGB, 8 bits a channel."""

from __future__ import annotations

import importlib
import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from calibration.colour import to_srgb
from calibration.errors import UnreadableImageError, one_line
from calibration.pictures import Colour, PictureOptions

OPEN_DEPTH = "nothing states its bit depth"
"""In reasons: what has to be said before a picture can be read."""

HEIC = "HEIC by its content"
"""In reasons: what pillow-heif is needed for."""

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF")
"""Pillow's names of the formats that are tried; others, such as EPS, may start programs."""

DECODING_ERRORS = (
    ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError,
    TypeError, ValueError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow's decoders meet damaged, odd and huge files with: nearly any built-in error."""

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
"""Markers in front of pixels and after the last of them (ITU-T T.81, table B.1); no bytes of
pixels are like them."""

_ZEROS = bytes(64)

_HEIC_BEGINNINGS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1", b"ftyphevc")
"""Of a file from its fifth byte on (ISO/IEC 23008-12, annex B.4: brands)."""

_FULL_BITS = 16
_FULL_SCALE = 65535.0
_SIGNED, _SIGNED_SCALE = ("I;16S", "I;16BS"), 32767.0
"""Pillow's names of signed values of 16 bits in a TIFF, and the largest of them."""

_DARKEST = 1 / 4
"""Of white, as the brightest of a picture: below it is likelier that fewer bits are used."""

_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_PLANES, _APART = 284, 2
"""Tags of TIFF 6.0, and a value of the second and of the third."""

_JPEG = ("JPEG", "MPO")
_BAND_PIXELS = 1 << 22
_FRAMES = "more than one frame, the first is used"


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A picture as it was decoded.

    Attributes:
        image: Mode RGB.
        remark: What was left out of the file, a clause; empty where nothing was.
    """

    image: Image.Image
    remark: str = ""


def decode(path: Path, pictures: PictureOptions | None = None) -> Image.Image:
    """Reads an image file; see :func:`decode_bytes`.

    Raises:
        UnreadableImageError: The file cannot be read or decoded.
    """
    label = str(path)
    return decode_bytes(read_bytes(path, label=label), label=label, pictures=pictures).image


def read_bytes(path: Path, *, label: str) -> bytes:
    """Content of a file.

    Raises:
        UnreadableImageError: It cannot be read; the message names ``label``.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(label, error.strerror or one_line(error)) from error


@cache
def reads_heic() -> bool:
    """Whether pillow-heif is installed, by which Pillow reads what phones of Apple take."""
    try:
        module = importlib.import_module("pillow_heif")
    except ImportError:
        return False
    module.register_heif_opener()
    return True


def _formats() -> tuple[str, ...]:
    return (*FORMATS, "HEIF") if reads_heic() else FORMATS


def decode_bytes(data: bytes, *, label: str, pictures: PictureOptions | None = None) -> Decoded:
    """Decodes an image file's content.

    The EXIF orientation is applied, colours become sRGB (:mod:`calibration.colour`), transparency
    is composited on the background, palettes, grayscale and CMYK become RGB, and of several frames
    the first is taken. Grayscale deeper than 8 bits is scaled to 0...255, colour keeps its upper 8
    bits. Where nothing states how many bits are used, files are refused that stay below a quarter
    of 16; 32-bit and float files have the least full scale that holds their largest value, of 1
    (float only), 255 and 65535.

    Pillow's warnings are turned off for the whole process, because ``warnings.catch_warnings``
    is not safe in the thread that reads ahead. Pillow refuses more than twice
    ``Image.MAX_IMAGE_PIXELS``, which is 179 million: up to 1.5 GB while it is decoded.

    Args:
        data: Content of the file.
        label: What to call the image in errors.
        pictures: How it becomes pixels; None for the defaults.

    Raises:
        UnreadableImageError: It is damaged, too large, of unknown depth, or not in one of
            :data:`FORMATS`.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    pictures = pictures or PictureOptions()
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            if image.format in _JPEG and _ends_in_zeros(data):
                raise ValueError("its end was never written: there are zeros instead of pixels")
            rgb = _rgb(image, pictures)
            several = image.format != "MPO" and getattr(image, "is_animated", False)
            return Decoded(rgb, _FRAMES if several else "")
    except UnidentifiedImageError as error:  # its own message has an address in it
        known = ", ".join(_formats())
        heic = f"{HEIC}, " if data[4:12] in _HEIC_BEGINNINGS and not reads_heic() else ""
        raise UnreadableImageError(label, f"{heic}not an image in one of {known}") from error
    except DECODING_ERRORS as error:
        raise UnreadableImageError(label, one_line(error)) from error


def _rgb(image: ImageFile.ImageFile, pictures: PictureOptions) -> Image.Image:
    """Mode RGB, upright."""
    _check_planes(image)
    is_deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    bits = _stated_bits(image) or pictures.bit_depth
    most = _SIGNED_SCALE if _tile_arguments(image)[0] in _SIGNED else _FULL_SCALE
    is_cut, profile = _is_cut(image), image.info.get("icc_profile")
    image.load()
    if is_cut:
        _check_upper_bits(image, pictures.bit_depth)
    if not pictures.ignore_exif:
        ImageOps.exif_transpose(image, in_place=True)
    if is_deep:
        return _by_bands(image, _eight_bit(image, bits, most, pictures.background))
    if image.has_transparency_data:
        return _by_bands(image, partial(_composited, pictures.background, profile))
    colours = image if image.mode in ("RGB", "L") else image.convert("RGB")
    return to_srgb(colours, profile).convert("RGB")


def _by_bands(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Mode RGB, some rows at a time: what converts them may take many times their memory."""
    rgb = Image.new("RGB", image.size)
    for top, band in _bands(image):
        rgb.paste(convert(band), (0, top))
    return rgb


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        yield top, band


def _composited(background: Colour, profile: bytes | None, image: Image.Image) -> Image.Image:
    gray = image.mode == "LA"  # whose profile is of grays
    colours = to_srgb(image if gray else image.convert("RGBA"), profile).convert("RGBA")
    behind = Image.new("RGBA", colours.size, (*background, 255))
    return Image.alpha_composite(behind, colours).convert("RGB")


def _stated_bits(image: ImageFile.ImageFile) -> int | None:
    """How many bits of deep grayscale are used, where the file says so."""
    if image.format == "TIFF" and _tile_arguments(image)[0] == "I;12":
        return 12
    # Pillow scales by the largest value that the header names, if that is not the last of 16 bits.
    scales = image.format == "PPM" and image.mode == "I" and image.tile[0][0] != "raw"
    return _FULL_BITS if scales else None


def _is_cut(image: ImageFile.ImageFile) -> bool:
    """Whether colour of 16 bits a channel becomes 8, by Pillow."""
    mode, *others = _tile_arguments(image)
    scales = image.format == "PPM" and others == [_FULL_SCALE]
    return image.mode in ("RGB", "RGBA") and (";16" in str(mode) or scales)


def _tile_arguments(image: ImageFile.ImageFile) -> tuple[object, ...]:
    """What Pillow's decoder is told, first of all its name of how pixels lie in the file."""
    arguments = image.tile[0].args if image.tile else ()
    return arguments if isinstance(arguments, tuple) and arguments else (arguments,)


def _check_planes(image: ImageFile.ImageFile) -> None:
    """Refuses a TIFF of which Pillow would take each half of a value for one of 8 bits."""
    tags = getattr(image, "tag_v2", {})
    is_apart = tags.get(_PLANES) == _APART and image.tile and image.tile[0][0] == "raw"
    if is_apart and (bits := max(tags.get(_BITS_PER_SAMPLE, (8,)))) > 8:
        raise ValueError(
            f"it has {bits} bits a channel and a plane for each, uncompressed: save it with the "
            "colours of a pixel together, or compressed"
        )


def _check_upper_bits(image: Image.Image, bit_depth: int | None) -> None:
    """Refuses 16 bits a channel whose upper 8, which Pillow keeps, are not the picture."""
    brightest = max(int(np.asarray(band.convert("RGB")).max()) for _, band in _bands(image))
    is_bright = brightest >= 256 * _DARKEST
    used = bit_depth or (_FULL_BITS if is_bright else 8 + brightest.bit_length())
    if used < _FULL_BITS:
        is_open = "" if bit_depth else f", and {OPEN_DEPTH}"
        raise ValueError(
            f"it has 16 bits a channel and uses at most {used} of them{is_open}: convert it to 8 "
            "bits a channel"
        )


def _eight_bit(
    image: Image.Image, bits: int | None, most: float, background: Colour
) -> Callable[[Image.Image], Image.Image]:
    """What converts bands of grayscale of more than 8 bits; the transparent value is background."""
    extremes = [(values.min(), values.max()) for values in map(_values, _bands(image))]
    lows, highs = zip(*extremes, strict=True)
    full_scale = _full_scale(image.mode, float(np.min(lows)), float(np.max(highs)), bits, most)
    transparent = image.info.get("transparency")
    tags = getattr(image, "tag_v2", {})
    is_inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO

    def convert(band: Image.Image) -> Image.Image:
        values = _values((0, band))
        levels = np.rint(values * (255.0 / full_scale)).astype(np.uint8)
        rgb = np.stack([255 - levels if is_inverted else levels] * 3, axis=-1)
        if transparent is not None:
            rgb[values == transparent] = background
        return Image.fromarray(rgb)

    return convert


def _values(band: tuple[int, Image.Image]) -> NDArray[np.float64]:
    return np.asarray(band[1], dtype=np.float64)


def _full_scale(mode: str, low: float, high: float, bits: int | None, most: float) -> float:
    """The value that means white, from Pillow's mode, the ends of the values, and the bits used."""
    if not (low >= 0 and high <= _FULL_SCALE):
        raise ValueError(f"its values {low:g}...{high:g} are outside of 0...65535")
    if mode == "F" and high <= 1:
        return 1.0
    if bits:
        if high > (white := 2.0**bits - 1):
            raise ValueError(f"its values go up to {high:g}, beyond a bit depth of {bits}")
        return white
    white = 255.0 if mode in ("I", "F") and high <= 255 else most
    if 0 < high < (white + 1) * _DARKEST and (mode, white) != ("I", 255.0):
        raise ValueError(
            f"its values go up to {high:g}, {math.ceil(high).bit_length()} of 16 bits, and "
            f"{OPEN_DEPTH}: convert it to 8 bits"
        )
    return white


def _ends_in_zeros(data: bytes) -> bool:
    """Whether a JPEG file's pixels go over into zeros, as those of an interrupted download.

    Other files that lack their end are found by Pillow. What follows the end, such as a film, may
    hold anything, but hardly ends in zeros.
    """
    return data.endswith(_ZEROS) and data.rfind(_END) < data.rfind(_SCAN)
