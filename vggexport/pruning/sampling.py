"""Places of a layer's output, and the inputs that each sees: the rows of a regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vggexport.network.forward import Array, NumpyNetwork
from vggexport.network.layers import POOL_SIZE, Layer

ROWS_PER_INPUT = 8
"""Rows for each unknown of one output: the error on others is then 1/8 larger than on these."""
FEWEST_ROWS, MOST_ROWS = 16384, 40960


@dataclass(frozen=True, slots=True)
class Sampler:
    """Which places of one layer are looked at in every image.

    A layer in front of a 2x2 max pooling is looked at in whole windows of it, four places one after
    the other, as only the largest of them counts. Places are the same whenever they are drawn.

    Attributes:
        layer: The layer.
        windows: Windows of an image.
        size: Places of a window: 4, or 1.
        seed: Of the choice.
    """

    layer: Layer
    windows: int
    size: int
    seed: int = 0

    @classmethod
    def of(cls, network: NumpyNetwork, layer: Layer, images: int, seed: int = 0) -> Sampler:
        """As many as so many images need."""
        if layer.is_matrix:
            return cls(layer, 1, 1, seed)
        height, width, _ = layer.output_shape
        side = POOL_SIZE if network.is_pooled(layer) else 1
        inputs = int(np.prod(layer.kernel.shape[:-1]))
        rows = min(max(ROWS_PER_INPUT * inputs, FEWEST_ROWS), MOST_ROWS)
        most = (height // side) * (width // side)
        return cls(layer, min(most, -(-rows // (images * side**2))), side**2, seed)

    @property
    def rows(self) -> int:
        """Places of an image."""
        return self.windows * self.size

    def places(self, number: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of an image's places, (places,), window by window."""
        height, width, _ = self.layer.output_shape
        side = int(self.size**0.5)
        random = np.random.default_rng((self.seed, number))
        count = (height // side) * (width // side)
        tops, lefts = np.divmod(random.choice(count, self.windows, replace=False), width // side)
        inner, outer = np.divmod(np.arange(self.size), side)
        return (
            (tops[:, None] * side + inner).reshape(-1),
            (lefts[:, None] * side + outer).reshape(-1),
        )

    def inputs(self, maps: Array, first: int) -> Array:
        """What each place sees, (images * places, inputs + 1), the last of them 1 for the bias.

        The maps are what the layer takes, of consecutive images from number ``first`` on.
        """
        if self.layer.is_matrix:
            return _with_one(maps)
        side = self.layer.kernel.shape[0]
        margin = side // 2
        padded = np.pad(maps, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
        steps = np.arange(side)
        seen = []
        for number, image in enumerate(padded, start=first):
            tops, lefts = self.places(number)
            patches = image[
                (tops[:, None] + steps)[:, :, None], (lefts[:, None] + steps)[:, None, :]
            ]
            seen.append(patches.reshape(len(tops), -1))
        return _with_one(np.concatenate(seen))

    def outputs(self, maps: Array, first: int) -> Array:
        """A layer's outputs at the places, (images * places, outputs)."""
        if self.layer.is_matrix:
            return maps
        return np.concatenate([image[self.places(n)] for n, image in enumerate(maps, first)])


def _with_one(rows: Array) -> Array:
    return np.concatenate([rows, np.ones((len(rows), 1), np.float32)], axis=1)
