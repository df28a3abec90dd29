"""Pictures as phones have them, which show whether they are decoded as the networks want.

One is in Display P3, one lies on its side as EXIF says, one is transparent, one gray, one very
wide. All are made here, of a synthetic image, so that nobody's rights are in them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

import calibration
from vggexport.bundles.display_p3 import display_p3

LEVELS = 4
"""How far decoders of JPEG and of colour profiles may be from Pillow's, in levels of 255: the
inverse transform, the conversion from YCbCr and that of the colours round by 1 each, and the first
two may add up. Mistakes are tens of levels (tests/bundles)."""

_LONG, _SHORT = 1.5, 1.2
"""Of sides, in the network's own."""

_WIDE = 6.0
_VIVID = 2.5
"""Times the distance from gray: what sRGB has not is cut off."""

_ORIENTATION, _TURNED = 0x0112, 6
"""EXIF's tag, and its value for a picture whose rows run upwards along its right side."""


@dataclass(frozen=True, slots=True)
class GoldenPicture:
    """A file as a phone has it, and how far decoders' pixels may be from Pillow's in levels."""

    name: str
    data: bytes
    levels: int = LEVELS


def golden_pictures(size: tuple[int, int]) -> Iterator[GoldenPicture]:
    """All of them, of the height and width that the network takes."""
    for number, (name, make) in enumerate(_MAKERS.items()):
        sides = (_SHORT, _WIDE) if name.startswith("wide") else (_SHORT, _LONG)
        rows, columns = (round(one * side) for one, side in zip(sides, size, strict=True))
        square = calibration.synthetic_image(1, number, max(rows, columns))
        vivid = 128 + _VIVID * (square[:rows, :columns].astype(np.float32) - 128)
        gray = vivid.mean(axis=-1, keepdims=True)
        pixels = np.clip(gray + _VIVID * (vivid - gray), 0, 255).astype(np.uint8)
        yield GoldenPicture(name, make(Image.fromarray(pixels)))


def encode_jpeg(image: Image.Image, subsampling: int = 0, **options: object) -> bytes:
    """A JPEG file: unless it is asked for, without a loss of colours' resolution."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95, subsampling=subsampling, **options)
    return out.getvalue()


def with_orientation(value: int) -> Image.Exif:
    """What EXIF says of a picture that lies so."""
    exif = Image.Exif()
    exif[_ORIENTATION] = value
    return exif


def _png(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def _transparent(image: Image.Image) -> bytes:
    """Opaque at the left, transparent at the right."""
    across = np.linspace(255, 0, image.width).round().astype(np.uint8)
    alpha = np.broadcast_to(across, (image.height, image.width))
    return _png(Image.fromarray(np.dstack([np.asarray(image), alpha])))


_MAKERS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "display_p3.jpg": lambda image: encode_jpeg(image, icc_profile=display_p3()),
    "display_p3.png": lambda image: _png(image, icc_profile=display_p3()),
    "turned.jpg": lambda image: encode_jpeg(image, exif=with_orientation(_TURNED)),
    "transparent.png": _transparent,
    "gray.jpg": lambda image: encode_jpeg(image.convert("L")),
    "wide.png": _png,
}
