"""Random crops of training images.

Scale jitter, a random crop and mirroring as in Simonyan and Zisserman, arXiv 1409.1556, section
3.1: the short side is drawn from a range, then the place of the crop, then whether it is mirrored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from calibration.preprocessing import crop


def random_crop(
    image: Image.Image,
    size: int,
    *,
    short_side: tuple[int, int],
    flip: bool,
    random: np.random.Generator,
) -> NDArray[np.uint8]:
    """A square crop of an image whose short side was resized to a random length.

    Only the cropped part is computed.

    Args:
        image: Mode RGB.
        size: Side of the result in pixels.
        short_side: Smallest and largest short side, at least ``size``; both are possible.
        flip: Whether half of the crops are mirrored.
        random: What is drawn from: always the same number of values.

    Returns:
        Shape (size, size, 3), uint8 RGB.
    """
    low, high = short_side
    scale = int(random.integers(low, high + 1)) / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (int(random.integers(0, room - size + 1)) for room in (width, height))
    mirrored = bool(random.integers(2)) and flip
    square = crop(image, size, (width, height), (left, top))
    return np.ascontiguousarray(square[:, ::-1]) if mirrored else square
