"""Training images as a network sees them: the centre crop, or one of many random crops."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import calibration
from calibration.augmentation import random_crop
from calibration.decoding import decode_bytes, read_bytes
from calibration.pictures import height_and_width
from calibration.preprocessing import prepare
from calibration.seeding import generator
from vggexport.network.training_recipe import REFERENCE_SIZE, Recipe

CENTRE = 0
"""Number of the view that validation and inference see."""

_DIGEST_BITS = 64


@dataclass(frozen=True, slots=True)
class Views:
    """Views of the images of a folder, each the same whenever it is read."""

    source: calibration.sources.FolderImages
    recipe: Recipe

    def bytes_of(self, index: int) -> bytes:
        """Content of a file.

        Raises:
            UnreadableImageError: It cannot be read.
        """
        path = self.source.paths[index]
        return read_bytes(self.source.root / path, label=path)

    def pixels(self, index: int, view: int) -> NDArray[np.uint8]:
        """One view: :data:`CENTRE`, or a random crop of that number.

        Raises:
            UnreadableImageError: The file is not an image.
        """
        return self.pixels_of(self.bytes_of(index), view, label=self.source.paths[index])

    def pixels_of(self, data: bytes, view: int, *, label: str) -> NDArray[np.uint8]:
        """The same of a file's content: (height, width, 3), uint8 RGB."""
        pictures, size = self.source.pictures, self.source.size
        image = decode_bytes(data, label=label, pictures=pictures).image
        if view == CENTRE:
            return prepare(image, size, pictures)
        number = int.from_bytes(hashlib.sha256(data).digest()[: _DIGEST_BITS // 8], "little")
        return random_crop(
            image,
            size,
            short_side=(self._scaled(self.recipe.min_scale), self._scaled(self.recipe.max_scale)),
            flip=self.recipe.flip,
            random=generator(self.recipe.seed, view, number),
            pictures=pictures,
        )

    def _scaled(self, side: int) -> int:
        """A short side in proportion to crops of another size than the paper's."""
        return round(side * max(height_and_width(self.source.size)) / REFERENCE_SIZE)
