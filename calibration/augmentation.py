"""Random crops of training images.

Scale jitter, a random crop and mirroring as in Simonyan and Zisserman, arXiv 1409.1556, section
3.1: the short side is drawn from a range, then the place of the crop, then whether it is mirrored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from calibration.preprocessing import Size, crop, height_and_width


def random_crop(
    image: Image.Image,
    size: Size,
    *,
    short_side: tuple[int, int],
    flip: bool,
    random: np.random.Generator,
) -> NDArray[np.uint8]:
    """A crop of an image whose short side was resized to a random length.

    Only the cropped part is computed.

    Args:
        image: Mode RGB.
        size: Of the result.
        short_side: Smallest and largest short side, both possible; each side of the image is made
            at least as long as the crop's.
        flip: Whether half of the crops are mirrored.
        random: What is drawn from: always the same number of values.

    Returns:
        Shape (height, width, 3), uint8 RGB.
    """
    low, high = short_side
    scale = int(random.integers(low, high + 1)) / min(image.size)
    rows, columns = height_and_width(size)
    width = max(columns, round(image.width * scale))
    height = max(rows, round(image.height * scale))
    left = int(random.integers(0, width - columns + 1))
    top = int(random.integers(0, height - rows + 1))
    mirrored = bool(random.integers(2)) and flip
    cropped = crop(image, size, (width, height), (left, top))
    return np.ascontiguousarray(cropped[:, ::-1]) if mirrored else cropped
