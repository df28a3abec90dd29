"""What apps give a network in place of a prepared image where their preprocessing is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DARK, _DARK_LINEAR = 0.04045, 0.0031308
"""Ends of the straight part of sRGB's curve (IEC 61966-2-1)."""


def as_p3(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """What an sRGB picture's values are in Display P3: those of a P3 file whose profile is lost."""
    to_p3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])
    unit = image / 255
    linear = np.where(unit <= _DARK, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4) @ to_p3.T
    encoded = np.where(linear <= _DARK_LINEAR, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.float32)


MEAN = np.array([123.68, 116.779, 103.939], np.float32)
WRONG: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "BGR": lambda image: image[..., ::-1],
    "mean subtracted twice": lambda image: image - MEAN,
    "divided by 255": lambda image: image / 255,
    "P3 read as sRGB": as_p3,
    "EXIF ignored": np.rot90,
}
"""By mistake."""


def stretched(folder: Path, size: tuple[int, int]) -> Iterator[NDArray[np.float32]]:
    """Photographs without the crop."""
    for file in sorted(path for path in folder.rglob("*") if path.suffix.lower() != ".csv"):
        with Image.open(file) as image:
            scaled = image.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR)
        yield np.asarray(scaled, np.float32)
