"""Images with the statistics of natural ones, for when no photographs are at hand.

Sources of the statistics:

* The amplitude spectrum falls like 1/f: D. Field, "Relations between the statistics of natural
  images and the response properties of cortical cells", JOSA A 4(12), 1987.
* Objects occlude each other, with radii distributed like 1/r^3, which gives sharp edges: A. Lee,
  D. Mumford and J. Huang, "Occlusion models for natural images", IJCV 41, 2001.
* Luminance varies much more than yellow-blue, and that more than red-green: D. Ruderman,
  T. Cronin and C.-C. Chiao, "Statistics of cone responses to natural images", JOSA A 15(8), 1998.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibration.pictures import Size, height_and_width
from calibration.seeding import generator

SPECTRUM_EXPONENTS = (0.8, 1.4)
MEAN_LEVELS = (70.0, 170.0)
CONTRASTS = (25.0, 70.0)
DISK_COUNTS = (5, 30)
DISK_RADII = (1 / 32, 1 / 2)
"""Smallest and largest radius as a share of the image's shorter side."""

CAST_GAINS = (0.2, 1.5)
"""Of the channels of an image with a cast of colour."""

DISK_CONTRAST = 1.5
"""Standard deviation of a disk's level, where that of the texture is 1."""

# Rows: luminance, yellow-blue and red-green; columns: R, G, B.
OPPONENT_TO_RGB = np.array([[1, 1, 1], [0.5, 0.5, -1], [1, -1, 0]], dtype=np.float32)
OPPONENT_DEVIATIONS = np.array([1.0, 0.25, 0.1], dtype=np.float32)


def synthetic_image(seed: int, index: int, size: Size) -> NDArray[np.uint8]:
    """The image of that number; it depends on the three arguments only.

    Args:
        seed: 0 or more.
        index: 0 or more.
        size: Of the image.

    Returns:
        Shape (height, width, 3), uint8 RGB.

    Raises:
        CalibrationDataError: ``seed`` is negative.
    """
    height, width = height_and_width(size)
    random = generator(seed, index, *((height,) if height == width else (height, width)))
    mean, contrast = random.uniform(*MEAN_LEVELS), random.uniform(*CONTRASTS)
    scene = _texture(random, height, width)
    scene += _dead_leaves(random, height, width)
    scene -= scene.mean(axis=(0, 1))
    deviation = float(scene[..., 0].std()) or 1.0  # a single pixel has none
    colours = (scene * OPPONENT_DEVIATIONS) @ OPPONENT_TO_RGB
    return np.rint(np.clip(mean + colours * (contrast / deviation), 0, 255)).astype(np.uint8)


def varied_image(seed: int, index: int, size: Size) -> NDArray[np.uint8]:
    """The same, every second one with a cast of colour: for checks, not for calibration.

    Classes that colours tell apart, and ranges that hold for dull pictures alone, show on no other.
    """
    image = synthetic_image(seed, index, size)
    if index % 2 == 0:
        return image
    gains = generator(seed, index).uniform(*CAST_GAINS, 3)
    return np.rint(np.clip(image * gains, 0, 255)).astype(np.uint8)


def _texture(random: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Gaussian noise of amplitude 1/f^a and deviation 1, (height, width, 3) in opponent colours."""
    exponent = random.uniform(*SPECTRUM_EXPONENTS)
    vertical, horizontal = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.hypot(vertical, horizontal)
    frequency[0, 0] = np.inf  # no constant part
    amplitude = (frequency**-exponent).astype(np.float32)
    real, imaginary = random.standard_normal((2, 3, *amplitude.shape), dtype=np.float32)
    noise = np.fft.irfft2((real + 1j * imaginary) * amplitude, s=(height, width))
    noise /= np.maximum(noise.std(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    return np.moveaxis(noise, 0, -1).astype(np.float32)


def _dead_leaves(random: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Disks of random levels, the later ones hiding the earlier, (height, width, 3)."""
    canvas = np.zeros((height, width, 3), dtype=np.float32)
    smallest, largest = (radius**-2 for radius in DISK_RADII)
    for _ in range(random.integers(*DISK_COUNTS, endpoint=True)):
        # Inverse of the cumulative distribution that belongs to the density 1/r^3.
        radius = min(height, width) * random.uniform(largest, smallest) ** -0.5
        row, column = random.uniform(0, (height, width))
        level = random.normal(0, DISK_CONTRAST, 3)
        _fill_disk(canvas, row, column, radius, level)
    return canvas


def _fill_disk(
    canvas: NDArray[np.float32],
    row: float,
    column: float,
    radius: float,
    level: NDArray[np.float64],
) -> None:
    top, left = max(0, int(row - radius)), max(0, int(column - radius))
    window = canvas[top : int(row + radius) + 1, left : int(column + radius) + 1]
    rows = np.arange(top, top + window.shape[0])[:, None] - row
    columns = np.arange(left, left + window.shape[1])[None, :] - column
    window[rows**2 + columns**2 <= radius**2] = level
