"""Labelled images parted into those to learn from and those to judge by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationDataError
from calibration.labelled import LabelledImages
from calibration.seeding import generator

_SMALLEST = 2
"""Images of a class that can be parted."""


def stratified_split(
    images: LabelledImages, fraction: float, *, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Parts images so that every class has its share in both parts, one image at least.

    Args:
        images: What to part.
        fraction: Share of the second part, between 0 and 1.
        seed: Of the choice, 0 or more.

    Returns:
        Indices of the first and of the second part, each in ascending order.

    Raises:
        CalibrationDataError: A class has fewer than two images, or the fraction is out of range.
    """
    if not 0 < fraction < 1:
        raise CalibrationDataError(f"validation split {fraction}: pass a share between 0 and 1")
    counts = images.counts
    if small := [name for name, n in zip(images.classes, counts, strict=True) if n < _SMALLEST]:
        raise CalibrationDataError(
            f"labelled data {images.source.name!r}: class {small[0]!r} has {counts.min()} image, "
            f"and a split needs {_SMALLEST} of each",
            "add images, or remove the class",
        )
    chosen = []
    for index, count in enumerate(counts):
        held = min(max(1, round(fraction * int(count))), int(count) - 1)
        members = np.flatnonzero(images.targets == index)
        chosen.append(generator(seed, index).permutation(members)[:held])
    second = np.sort(np.concatenate(chosen))
    return np.setdiff1d(np.arange(len(images)), second), second
