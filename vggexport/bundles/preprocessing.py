"""From an image file to the tensor that a model takes, as data that any program can follow.

``calibration.prepare`` is what is described; :class:`Preprocessing` does what the description says,
and a bundle's pairs of images hold both, and every other implementation, to the same pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import calibration
from calibration.pictures import CROP, PAD, STRETCH, WHITE
from vggexport.errors import ArtifactError

SCHEMA = 1

MAX_LEVELS = 1
"""How far a pixel may be from Pillow's: it scales one axis and then the other, rounding to whole
levels in between, and which is first depends on its version and on the sizes. Filters without
antialiasing, and other centres, are tens of levels off."""

_MORE_LEVELS = {"bicubic": 2, "lanczos": 4}
"""Filters that overshoot are cut off at 0 and 255 in between, too: measured, 1 and 3 levels."""


MAX_SIDE = 1 << 16
"""Of what an image is scaled to, in pixels: more than any network takes."""

_PART = "part"
"""Mode of a resize: the largest part of the right shape is scaled, so that no crop follows."""

_AS_IT_LIES = "as it lies"

_TO_SRGB = (
    "convert to sRGB: RGB and gray pictures by the ICC profile in the file, relative colorimetric, "
    "before transparency is composited; without a profile, with a damaged one, and of CMYK, values "
    "count as sRGB"
)

_PROSE = frozenset(
    {"long_side", "sides", "part", "filter", "top", "left", "colour_profile", "lengths"}
)
"""What explains a step to whoever writes it anew; the other keys are what it depends on."""

_FILTERS = {
    "bilinear": "triangle, 2 * max(1, source pixels per target pixel) source pixels wide",
    "bicubic": "cubic convolution of a = -0.5, 4 * max(1, source pixels per target pixel) source "
    "pixels wide",
    "lanczos": "sinc(x) * sinc(x / 3), 6 * max(1, source pixels per target pixel) source pixels "
    "wide",
    "area": "box, max(1, source pixels per target pixel) source pixels wide, its right edge inside",
}
_AROUND = (
    ", around (target pixel + 0.5) * source pixels per target pixel; cut off at the image's "
    "border, its weights made to sum to 1; along each row first and then along each column, "
    "rounded to 8 bits after each (the other order differs by tolerance_levels at most)"
)
_NEAREST = "the source pixel in which (target pixel + 0.5) * source pixels per target pixel lies"


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The steps before the network.

    Attributes:
        size: Height and width that the network takes, in pixels.
        pictures: How a picture becomes as many.
    """

    size: tuple[int, int]
    pictures: calibration.PictureOptions = field(default_factory=calibration.PictureOptions)

    @property
    def mode(self) -> str:
        """That of the resize: "crop", "part", "stretch" or "pad"."""
        if self.pictures.resize == CROP and self.pictures.cover(self.size) == self.size:
            return _PART
        return self.pictures.resize

    @property
    def max_levels(self) -> int:
        """How far a pixel may be from Pillow's."""
        return _MORE_LEVELS.get(self.pictures.interpolation, MAX_LEVELS)

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Makes of an image, uint8 (height, width, 3) in RGB, what the network takes."""
        return calibration.prepare(Image.fromarray(pixels), self.size, self.pictures)

    def steps(self) -> list[dict[str, Any]]:
        """The steps in order, each with all that it depends on."""
        steps = [self._decode(), self._resize()]
        if self.mode == CROP:
            steps.append(
                {
                    "step": "crop",
                    "height": self.size[0],
                    "width": self.size[1],
                    "top": "floor((height - crop height) / 2)",
                    "left": "floor((width - crop width) / 2)",
                }
            )
        return steps

    def _decode(self) -> dict[str, Any]:
        pictures, is_white = self.pictures, self.pictures.background == WHITE
        return {
            "step": "decode",
            "orientation": _AS_IT_LIES if pictures.ignore_exif else "as EXIF says",
            "colour_order": "RGB",
            "range": [0, 255],
            "transparency": f"composited on {'white' if is_white else 'the background'}",
            **({} if is_white else {"background": list(pictures.background)}),
            **({} if pictures.bit_depth is None else {"bit_depth": pictures.bit_depth}),
            "colour_profile": _TO_SRGB,
        }

    def _resize(self) -> dict[str, Any]:
        name = self.pictures.interpolation
        is_filtered = name in _FILTERS
        return {
            "step": "resize",
            **self._scaled_to(),
            "interpolation": name,
            "antialias": is_filtered,
            "filter": _FILTERS[name] + _AROUND if is_filtered else _NEAREST,
        }

    def _scaled_to(self) -> dict[str, Any]:
        """The lengths of a resized image: for crops of squares in the words of version 0.1.0."""
        if self.mode != CROP:
            return self._scaled_whole()
        height, width = self.pictures.cover(self.size)
        if self.size[0] == self.size[1]:
            return {
                "short_side": height,
                "long_side": "long side * short_side / short side, rounded, halves to even",
            }
        return {
            "cover_height": height,
            "cover_width": width,
            "sides": "each side * max(cover_height / height, cover_width / width), rounded, halves "
            "to even",
        }

    def _scaled_whole(self) -> dict[str, Any]:
        """Where no crop follows."""
        prose: dict[str, dict[str, Any]] = {
            STRETCH: {},
            _PART: {
                "part": "of the image, before: height min(image height, floor(image width * height "
                "/ width)) and width min(image width, floor(image height * width / height)), each "
                "at least 1, from floor((image side - side) / 2) on"
            },
            PAD: {
                "background": list(self.pictures.background),
                "lengths": "each side * min(height / image height, width / image width), rounded, "
                "halves to even, at least 1; put from floor((side - length) / 2) on",
            },
        }
        height, width = self.size
        return {"mode": self.mode, "height": height, "width": width, **prose[self.mode]}

    def to_json(self, models: Mapping[str, Any]) -> dict[str, Any]:
        """The description that a bundle holds, with what each model file takes and gives."""
        return {
            "schema": SCHEMA,
            "steps": self.steps(),
            "mean_subtraction": "inside the models: do not subtract a mean, scale or normalize",
            "tolerance_levels": self.max_levels,
            "models": dict(models),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Reads :meth:`to_json`.

        Raises:
            ArtifactError: It is not such a description, or of steps that are not known here.
        """
        try:
            steps = {step["step"]: step for step in data["steps"]}
            last = steps.get("crop", steps["resize"])
            size = int(last["height"]), int(last["width"])
            found = cls(size, _read_pictures(size, steps["decode"], steps["resize"]))
            _check_sides(found)
            same = _settings(data["steps"]) == _settings(found.steps())
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ArtifactError(f"the preprocessing is not readable: {error!r}") from error
        if not same:
            raise ArtifactError(
                "the preprocessing has other steps than this version of vggexport knows: update it"
            )
        return found


def _read_pictures(
    size: tuple[int, int], decode: Mapping[str, Any], resize: Mapping[str, Any]
) -> calibration.PictureOptions:
    mode = resize.get("mode", CROP)
    red, green, blue = decode.get("background", WHITE)
    return calibration.PictureOptions(
        CROP if mode == _PART else mode,
        min(size) if mode == _PART else _read_short_side(size, resize) if mode == CROP else None,
        resize["interpolation"],
        ignore_exif=decode["orientation"] == _AS_IT_LIES,
        background=(red, green, blue),
        bit_depth=decode.get("bit_depth"),
    )


def _read_short_side(size: tuple[int, int], resize: Mapping[str, Any]) -> int | None:
    """None where it is the usual one of the size."""
    keys = ("short_side",) * 2 if size[0] == size[1] else ("cover_height", "cover_width")
    height, width = (int(resize[key]) for key in keys)
    usual = calibration.PictureOptions().cover(size)
    return None if (height, width) == usual else min(height, width)


def _check_sides(steps: Preprocessing) -> None:
    covered = steps.pictures.cover(steps.size) if steps.mode == CROP else steps.size
    if not 0 < max(*steps.size, *covered) <= MAX_SIDE:
        raise ValueError(f"{covered} pixels of a side")


def _settings(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{key: step[key] for key in step if key not in _PROSE} for step in steps]
