"""Random crops of training images.

Scale jitter, a random crop and mirroring as in Simonyan and Zisserman, arXiv 1409.1556, section
3.1: the short side is drawn from a range, then the place of the crop, then whether it is mirrored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from calibration.pictures import CROP, PAD, PictureOptions, Size, height_and_width
from calibration.preprocessing import crop, prepare


def random_crop(
    image: Image.Image,
    size: Size,
    *,
    short_side: tuple[int, int],
    flip: bool,
    random: np.random.Generator,
    pictures: PictureOptions | None = None,
) -> NDArray[np.uint8]:
    """A crop of an image whose short side was resized to a random length.

    Only the cropped part is computed. A picture that is stretched or padded gets the shape of the
    crop first, as it has at test.

    Args:
        image: Mode RGB.
        size: Of the result.
        short_side: Smallest and largest short side, both possible; each side of the image is made
            at least as long as the crop's.
        flip: Whether half of the crops are mirrored.
        random: What is drawn from: always the same number of values.
        pictures: How pictures become pixels; None for the defaults.

    Returns:
        Shape (height, width, 3), uint8 RGB.
    """
    pictures = pictures or PictureOptions()
    low, high = short_side
    rows, columns = height_and_width(size)
    shape = image.size if pictures.resize == CROP else (columns, rows)
    scale = int(random.integers(low, high + 1)) / min(shape)
    width, height = max(columns, round(shape[0] * scale)), max(rows, round(shape[1] * scale))
    left = int(random.integers(0, width - columns + 1))
    top = int(random.integers(0, height - rows + 1))
    mirrored = bool(random.integers(2)) and flip
    if pictures.resize == PAD:
        whole = prepare(image, (height, width), pictures)
        cropped = whole[top : top + rows, left : left + columns]
    else:
        cropped = crop(image, size, (width, height), (left, top), pictures)
    return np.ascontiguousarray(cropped[:, ::-1] if mirrored else cropped)
