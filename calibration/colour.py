"""From the colours of a picture's own profile to sRGB, as phones show it.

A profile is the ICC's (ISO 15076-1), in the file. Of RGB and gray pictures it is kept; it is left
aside where it is damaged, or of another kind than the picture, and of CMYK pictures: their values
then count as sRGB, as without a profile.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

SRGB_LEVELS = 1
"""A profile that moves no colour by more is sRGB itself, written by someone else: nothing is
converted, which would round every pixel again."""

_STEPS = 9
_KINDS = {"RGB": "RGB ", "RGBA": "RGB ", "L": "GRAY", "LA": "GRAY"}
"""By Pillow's mode: the profile's "data colour space" (ISO 15076-1, 7.2.6)."""


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture in sRGB.

    Args:
        image: Mode RGB, RGBA, L or LA; others are given back as they are.
        profile: That of its file, if there is one.

    Returns:
        Modes L and LA become RGB and RGBA where a profile is kept.
    """
    kind = _KINDS.get(image.mode)
    transform = _transform(profile, kind) if profile and kind else None
    if transform is None:
        return image
    colours = image.convert("L" if kind == "GRAY" else "RGB")
    converted = ImageCms.applyTransform(colours, transform)
    assert converted is not None  # noqa: S101  only in place there is none
    if image.mode in ("RGBA", "LA"):
        converted.putalpha(image.getchannel("A"))
    return converted


@lru_cache(maxsize=8)
def _transform(profile: bytes, kind: str) -> ImageCms.ImageCmsTransform | None:
    """None where nothing is to be converted."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != kind:
            return None
        made = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            "L" if kind == "GRAY" else "RGB",
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (OSError, ImageCms.PyCMSError):
        return None
    lattice = Image.fromarray(_lattice(kind))
    moved = np.asarray(ImageCms.applyTransform(lattice, made), np.int16)
    levels = int(np.abs(moved - np.asarray(lattice.convert("RGB"), np.int16)).max())
    return made if levels > SRGB_LEVELS else None


def _lattice(kind: str) -> NDArray[np.uint8]:
    """Colours all over the cube, or grays, as an image."""
    steps = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    if kind == "GRAY":
        return steps[np.newaxis]
    return np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
