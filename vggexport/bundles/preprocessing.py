"""From an image file to the tensor that a model takes, as data that any program can follow.

``calibration.prepare`` is what is described; :class:`Preprocessing` does what the description says,
and a bundle's pairs of images hold both, and every other implementation, to the same pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from calibration.preprocessing import SHORT_SIDE_RATIO, centre_crop
from vggexport.errors import ArtifactError

SCHEMA = 1

MAX_LEVELS = 1
"""How far a pixel may be from Pillow's: it scales one axis and then the other, rounding to whole
levels in between, and which is first depends on its version and on the sizes. Filters without
antialiasing, and other centres, are tens of levels off."""


MAX_SIDE = 1 << 16
"""Of what an image is scaled to, in pixels: more than any network takes."""

_PROSE = frozenset({"long_side", "sides", "filter", "top", "left", "colour_profile"})
"""What explains a step to whoever writes it anew; the other keys are what it depends on."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The steps before the network.

    Attributes:
        size: Height and width that the network takes, in pixels.
        cover: Height and width that an image is scaled to cover before the crop; of a square, the
            length of its shorter side.
    """

    size: tuple[int, int]
    cover: tuple[int, int]

    @classmethod
    def for_size(cls, size: tuple[int, int]) -> Self:
        """What ``calibration.prepare`` does for a network of this input size."""
        height, width = size
        return cls(size, (round(height * SHORT_SIDE_RATIO), round(width * SHORT_SIDE_RATIO)))

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scales and crops an image, uint8 (height, width, 3) in RGB."""
        return centre_crop(Image.fromarray(pixels), self.size, self.cover)

    def steps(self) -> list[dict[str, Any]]:
        """The steps in order, each with all that it depends on."""
        return [
            {
                "step": "decode",
                "orientation": "as EXIF says",
                "colour_order": "RGB",
                "range": [0, 255],
                "transparency": "composited on white",
                "colour_profile": "ignored",
            },
            {
                "step": "resize",
                **self._scaled_to(),
                "interpolation": "bilinear",
                "antialias": True,
                "filter": "triangle, 2 * max(1, source pixels per target pixel) source pixels "
                "wide, around (target pixel + 0.5) * source pixels per target pixel; cut off at "
                "the image's border, its weights made to sum to 1; one axis after the other, "
                "rounded to 8 bits after each",
            },
            {
                "step": "crop",
                "height": self.size[0],
                "width": self.size[1],
                "top": "floor((height - crop height) / 2)",
                "left": "floor((width - crop width) / 2)",
            },
        ]

    def _scaled_to(self) -> dict[str, Any]:
        """The lengths of a resized image: for squares in the words of version 0.1.0."""
        height, width = self.cover
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

    def to_json(self, models: Mapping[str, Any]) -> dict[str, Any]:
        """The description that a bundle holds.

        Args:
            models: By file in the bundle: what it takes and gives.
        """
        return {
            "schema": SCHEMA,
            "steps": self.steps(),
            "mean_subtraction": "inside the models: do not subtract a mean, scale or normalize",
            "tolerance_levels": MAX_LEVELS,
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
            crop, resize = steps["crop"], steps["resize"]
            square = crop["height"] == crop["width"]
            keys = ("short_side",) * 2 if square else ("cover_height", "cover_width")
            height, width = (int(resize[key]) for key in keys)
            found = cls((int(crop["height"]), int(crop["width"])), (height, width))
            _check_sides(found)
            same = _settings(data["steps"]) == _settings(found.steps())
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ArtifactError(f"the preprocessing is not readable: {error!r}") from error
        if not same:
            raise ArtifactError(
                "the preprocessing has other steps than this version of vggexport knows: update it"
            )
        return found


def _check_sides(steps: Preprocessing) -> None:
    for side, cover in zip(steps.size, steps.cover, strict=True):
        if not 0 < side <= cover <= MAX_SIDE:
            raise ValueError(f"a crop of {side} pixels out of {cover}")


def _settings(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{key: step[key] for key in step if key not in _PROSE} for step in steps]
