"""Images as pictures that a page holds inside."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_PX = 112
"""Side of a thumbnail in CSS pixels."""

_DENSITY = 2
"""Pixels to a CSS pixel, for screens that have as many and for print."""


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """The ``data:`` address of a small JPEG of pixels, uint8 (height, width, 3), RGB."""
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE_PX * _DENSITY, SIDE_PX * _DENSITY), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
