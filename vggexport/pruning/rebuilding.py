"""The narrower network, front to back: each layer on what the ones before it give by now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.network.forward import Array, NumpyNetwork
from vggexport.network.layers import Layer
from vggexport.pruning.keeping import array_file, kept
from vggexport.pruning.refit import Refit, dual_ridge, relu_aware
from vggexport.pruning.survey import Survey
from vggexport.pruning.widths import narrowed

BATCH = 8
"""Images at a time."""


@dataclass(eq=False)
class Rebuilding:
    """A network on its way to being narrower.

    Outputs of the layers so far are kept in a file from the last pooling on.

    Attributes:
        survey: The network as it is.
        left: Channels that are left, by layer's name; all of those that are not named.
        images: uint8 (images, height, width, 3), the survey's.
        folder: For files of its own.
        weights: Tensors so far.
    """

    survey: Survey
    left: Mapping[str, NDArray[np.intp]]
    images: NDArray[np.uint8]
    folder: Path
    weights: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        widths = {name: len(channels) for name, channels in self.left.items()}
        self.network = NumpyNetwork(narrowed(self.survey.network.spec, widths), self.weights)
        self._stored: Array | None = None
        self._since: list[Layer] = []

    def run(self) -> Iterator[tuple[Layer, Refit | None]]:
        """Makes one layer after the other; the first, which has all its inputs, is not refitted."""
        before: Layer | None = None
        for layer, narrow in zip(self.survey.network.layers, self.network.layers, strict=True):
            refit = self._make(layer, narrow, before)
            yield layer, refit
            before = layer
            self._since.append(narrow)
            if any(self.network.followers(narrow)) or narrow.is_matrix:
                self._store()

    def _make(self, layer: Layer, narrow: Layer, before: Layer | None) -> Refit | None:
        outputs = self._left(layer)
        if before is None:
            kernel = self.survey.network.weights[layer.kernel.name][..., outputs]
            self.weights[narrow.kernel.name] = np.ascontiguousarray(kernel)
            self.weights[narrow.bias.name] = self.survey.network.weights[layer.bias.name][outputs]
            return None
        path = self.folder / f"{layer.name}.refit.npz"
        refit = Refit(**kept(path, lambda: self._refit(layer, narrow, before).arrays))
        self.weights[narrow.kernel.name] = refit.kernel[:-1].reshape(narrow.kernel.shape)
        self.weights[narrow.bias.name] = refit.kernel[-1].copy()
        return refit

    def _refit(self, layer: Layer, narrow: Layer, before: Layer) -> Refit:
        outputs, channels = self._left(layer), before.kernel.shape[-1]
        start = self.survey.without(layer, self._left(before), channels, outputs)
        targets = np.ascontiguousarray(self.survey.targets(layer)[:, outputs])
        sampler = self.survey.sampler(layer)
        inputs = np.empty((len(self.images) * sampler.rows, len(start)), np.float32)
        for first, maps in self._inputs():
            rows = sampler.inputs(maps, first)
            begin = first * sampler.rows
            inputs[begin : begin + len(rows)] = rows
        if narrow.is_matrix:
            return dual_ridge(inputs, targets, start)
        return relu_aware(inputs, targets, start, window=sampler.size)

    def _left(self, layer: Layer) -> NDArray[np.intp]:
        return self.left.get(layer.name, np.arange(layer.kernel.shape[-1]))

    def _inputs(self) -> Iterator[tuple[int, Array]]:
        """What the next layer takes, some images at a time, and the number of the first."""
        for first in range(0, len(self.images), BATCH):
            batch = slice(first, first + BATCH)
            if self._stored is None:
                maps = self.network.enter(self.images[batch])
            else:
                maps = self._stored[batch]
            for layer in self._since:
                maps = self.network.leave(layer, self.network.compute(layer, maps))
            yield first, maps

    def _store(self) -> None:
        """Keeps what the next layer takes of all images in a file."""
        stored: Array | None = None
        path = self.folder / f"{self._since[-1].name}.maps.npy"
        for first, maps in self._inputs():
            if stored is None:
                stored = array_file(path, len(self.images), *maps.shape[1:])
            stored[first : first + len(maps)] = maps
        self._stored, self._since = stored, []
