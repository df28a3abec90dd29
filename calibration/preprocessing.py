"""From a decoded picture to the pixels that the network sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from calibration.pictures import (
    INTERPOLATIONS,
    PAD,
    STRETCH,
    PictureOptions,
    Size,
    height_and_width,
)

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge in pixels of the picture."""


def prepare(
    image: Image.Image, size: Size, pictures: PictureOptions | None = None
) -> NDArray[np.uint8]:
    """Resizes a picture to what a network takes.

    Only the part that is kept is computed, so a very long picture needs no more memory than others.

    Args:
        image: Mode RGB.
        size: Of the result.
        pictures: How; None for the defaults.

    Returns:
        Shape (height, width, 3), uint8 RGB.

    Raises:
        CalibrationDataError: The short side asked for is shorter than that.
    """
    pictures = pictures or PictureOptions()
    if pictures.resize == PAD:
        return _padded(image, size, pictures)
    if pictures.resize == STRETCH:
        return resized(image, size, None, pictures)
    cover = pictures.cover(size)
    if cover == height_and_width(size):
        return resized(image, size, _largest(image, size), pictures)
    scaled = covering(image, cover)
    rows, columns = height_and_width(size)
    corner = (scaled[0] - columns) // 2, (scaled[1] - rows) // 2
    return crop(image, size, scaled, corner, pictures)


def covering(image: Image.Image, cover: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the picture when it is scaled to cover a height and width."""
    scale = max(cover[0] / image.height, cover[1] / image.width)
    return round(image.width * scale), round(image.height * scale)


def crop(
    image: Image.Image,
    size: Size,
    scaled: tuple[int, int],
    corner: tuple[int, int],
    pictures: PictureOptions,
) -> NDArray[np.uint8]:
    """A part of an image that is resized; the rest of it is not computed.

    Args:
        image: Mode RGB.
        size: Of the part.
        scaled: Width and height that all of the image is resized to.
        corner: Left and upper edge of the part in that.
        pictures: How it is interpolated.

    Returns:
        Shape (height, width, 3), uint8 RGB.
    """
    rows, columns = height_and_width(size)
    left, top = corner
    horizontal, vertical = image.width / scaled[0], image.height / scaled[1]
    box = (
        left * horizontal,
        top * vertical,
        min((left + columns) * horizontal, image.width),  # rounding may lead beyond the edge
        min((top + rows) * vertical, image.height),
    )
    return resized(image, size, box, pictures)


def resized(
    image: Image.Image, size: Size, box: Box | None, pictures: PictureOptions
) -> NDArray[np.uint8]:
    """A part of a picture, or all of it, scaled to a size: (height, width, 3), uint8 RGB."""
    rows, columns = height_and_width(size)
    return np.array(image.resize((columns, rows), INTERPOLATIONS[pictures.interpolation], box=box))


def _largest(image: Image.Image, size: Size) -> Box:
    """The largest part of the shape wanted in the middle, in whole pixels as Keras cuts it out."""
    rows, columns = height_and_width(size)
    width = max(1, min(image.width, image.height * columns // rows))
    height = max(1, min(image.height, image.width * rows // columns))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return left, top, left + width, top + height


def _padded(image: Image.Image, size: Size, pictures: PictureOptions) -> NDArray[np.uint8]:
    """All of a picture in the middle of the background."""
    rows, columns = height_and_width(size)
    scale = min(rows / image.height, columns / image.width)
    height, width = (max(1, round(side * scale)) for side in (image.height, image.width))
    padded = np.full((rows, columns, 3), pictures.background, np.uint8)
    top, left = (rows - height) // 2, (columns - width) // 2
    part = resized(image, (height, width), None, pictures)
    padded[top : top + height, left : left + width] = part
    return padded
