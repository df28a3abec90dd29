"""Whether images differ enough to take ranges from: within each, and from one to another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from calibration.errors import CalibrationDataError

LEAST_RANGE = 16
"""Levels of 0...255, a sixteenth: images that have fewer were divided by 255, or are black."""

LEAST_DEVIATION = 2.0
"""Standard deviation of an image's pixels, and root mean square difference of two images seen from
afar, in levels: what a camera's noise and JPEG's rounding give a picture of one colour."""

AFAR = 8
"""Pixels a side to which images are averaged before they are compared. Copies of a photograph of
224 pixels a side with noise of 4 levels differ by 0.5 then, with 16 by 0.9; two photographs of one
kind of flower differ by 48 and more."""

_ADVICE = "pass photographs like those that the network will see, as uint8 0...255"


class Spread:
    """What calibration images have, image by image.

    Args:
        name: Of the source, for errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lowest, self._highest = 255, 0
        self._within = self._between = 0.0
        self._first: NDArray[np.float32] | None = None

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Takes in one image, uint8 (height, width, 3)."""
        self._lowest = min(self._lowest, int(pixels.min()))
        self._highest = max(self._highest, int(pixels.max()))
        deviation = float(pixels.std(axis=(0, 1)).max())
        self._within = max(self._within, deviation)
        seen = _from_afar(pixels)
        self._first = seen if self._first is None else self._first
        self._between = max(self._between, float(np.sqrt(np.mean((seen - self._first) ** 2))))

    @property
    def is_enough(self) -> bool:
        """Whether ranges can be taken from the images so far; more of them change it no more."""
        return self._problem() is None

    def check(self) -> None:
        """Refuses images that no range can be taken from.

        Raises:
            CalibrationDataError: They have a sixteenth of the levels, one colour each, or are all
                the same image.
        """
        if self._first is not None and (problem := self._problem()):
            raise CalibrationDataError(f"calibration data {self._name!r} {problem}", _ADVICE)

    def _problem(self) -> str | None:
        if self._highest - self._lowest < LEAST_RANGE:
            return (
                f"has pixels {self._lowest}...{self._highest} only, where 0...255 are expected "
                f"and {LEAST_RANGE} levels at least"
            )
        if self._within < LEAST_DEVIATION:
            return "has images of one colour each"
        if self._between < LEAST_DEVIATION:
            return "has one image only, or nearly the same one again and again"
        return None


def _from_afar(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Averages over a grid of :data:`AFAR` cells a side, float32 (rows, columns, 3)."""
    small = Image.fromarray(pixels).resize((AFAR, AFAR), Image.Resampling.BOX)
    return np.asarray(small, np.float32)
