"""Pictures that decoders alone are tried with: each value of EXIF's orientation, and 4:2:0.

They are small, of a few colours, and of one size whatever network the bundle is for. No model
answers them: what they become is judged by its pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

from vggexport.bundles.golden_pictures import GoldenPicture, encode_jpeg, with_orientation

CHROMA_LEVELS = 8
"""How far decoders of 4:2:0 may be from Pillow's. Where it repeats chroma in place of interpolating
it, TensorFlow's is 5 levels off on this picture, with the fast inverse transform 4, with both 7.
Chroma a sample beside its place is 11 and more off, swapped chroma 190 (tests/bundles)."""

_ROWS, _COLUMNS = 4, 6
_BLOCK = 8
"""Side of JPEG's blocks: one of one colour has few bytes, and the same pixels in every decoder."""
_DARK, _BRIGHT = 60, 195
"""Levels that filters overshoot from without being cut off."""
_SMOOTH_SIZE = 288, 192
"""Width and height: the larger, the slower colours change, and the nearer decoders are."""

_STORED: Mapping[int, Image.Transpose | None] = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""By the value of EXIF's orientation: how the upright picture lies in the file (TIFF 6.0, 36)."""


def oriented_pictures() -> Iterator[GoldenPicture]:
    """By the value of EXIF's orientation, from 1 on: turned as they say, all are the same."""
    upright = _colours().resize((_COLUMNS * _BLOCK, _ROWS * _BLOCK), Image.Resampling.NEAREST)
    for value, transpose in _STORED.items():
        stored = upright if transpose is None else upright.transpose(transpose)
        data = encode_jpeg(stored, optimize=True, exif=with_orientation(value))
        yield GoldenPicture(f"orientation_{value}.jpg", data)


def subsampled_picture() -> GoldenPicture:
    """Colours half as fine, as in all photographs of phones."""
    smooth = _colours().resize(_SMOOTH_SIZE, Image.Resampling.BICUBIC)
    data = encode_jpeg(smooth, subsampling=2, optimize=True)
    return GoldenPicture("chroma_420.jpg", data, CHROMA_LEVELS)


def _colours() -> Image.Image:
    random = np.random.default_rng(0)
    colours = random.choice([_DARK, _BRIGHT], (_ROWS, _COLUMNS, 3))
    return Image.fromarray(colours.astype(np.uint8))
