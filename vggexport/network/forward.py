"""The network in NumPy, a weighted layer at a time, so that any of them can be swapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vggexport.network.layers import POOL_SIZE, Layer, LayerKind
from vggexport.network.spec import VGGSpec

Array: TypeAlias = NDArray[Any]
"""float32, as everything here that is not said to be otherwise."""

COLUMN_VALUES = 1 << 24
"""Of the matrix that a convolution multiplies at a time: 64 MB."""


@dataclass(frozen=True, eq=False)
class NumpyNetwork:
    """A network that runs from any weighted layer to any other."""

    spec: VGGSpec
    weights: Mapping[str, Array]

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The weighted layers, in order."""
        return self.spec.weighted_layers

    def enter(self, images: NDArray[np.uint8]) -> Array:
        """What the first weighted layer takes of images, uint8 (images, height, width, 3)."""
        return images.astype(np.float32) - np.array(self.spec.mean_rgb, np.float32)

    def compute(self, layer: Layer, inputs: Array) -> Array:
        """A weighted layer's outputs before its ReLU."""
        kernel, bias = self.weights[layer.kernel.name], self.weights[layer.bias.name]
        if layer.is_matrix:
            return inputs @ kernel + bias
        return convolve(inputs, kernel, bias)

    def leave(self, layer: Layer, outputs: Array) -> Array:
        """What the next weighted layer takes of :meth:`compute`'s outputs."""
        if layer.relu:
            outputs = np.maximum(outputs, 0)
        for follower in self.followers(layer):
            outputs = WEIGHTLESS[follower.kind].forward(outputs)
        return outputs

    def followers(self, layer: Layer) -> Iterator[Layer]:
        """The layers without weights between a weighted one and the next."""
        later = self.spec.layers[self.spec.layers.index(layer) + 1 :]
        for follower in later:
            if follower.kind not in WEIGHTLESS:
                return
            yield follower

    def logits(self, inputs: Array, first: Layer | None = None) -> Array:
        """The last layer's outputs, (images, classes), from the inputs of ``first``."""
        outputs = inputs
        for layer in self.layers[self.layers.index(first) if first else 0 :]:
            outputs = self.compute(layer, inputs)
            inputs = self.leave(layer, outputs)
        return outputs

    def is_pooled(self, layer: Layer) -> bool:
        """Whether a 2x2 max pooling follows."""
        return any(one.kind is LayerKind.MAX_POOLING for one in self.followers(layer))

    @property
    def pairs(self) -> Iterator[tuple[Layer, Layer]]:
        """Every weighted layer that can be narrower, and the one that takes its outputs."""
        return pairwise(self.layers)


def convolve(maps: Array, kernel: Array, bias: Array | float = 0.0) -> Array:
    """A convolution of maps, (images, height, width, channels), by HWIO: stride 1, zeros around."""
    images, height, width, _ = maps.shape
    side, outputs = kernel.shape[0], kernel.shape[-1]
    margin = side // 2
    padded = np.pad(maps, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    matrix = kernel.reshape(-1, outputs)
    result = np.empty((images, height, width, outputs), np.float32)
    rows = max(1, COLUMN_VALUES // (images * width * len(matrix)))
    for top in range(0, height, rows):
        strip = padded[:, top : min(top + rows, height) + 2 * margin]
        windows = sliding_window_view(strip, (side, side), (1, 2)).transpose(0, 1, 2, 4, 5, 3)
        columns = windows.reshape(-1, len(matrix))
        result[:, top : top + rows] = (columns @ matrix).reshape(images, -1, width, outputs)
    result += bias
    return result


@dataclass(frozen=True, slots=True)
class Weightless:
    """One kind of layer without weights.

    Attributes:
        forward: Its outputs, of what it takes.
        backward: The gradient at what it takes, of that and the gradient at its outputs.
    """

    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]


def _max_pool(maps: Array) -> Array:
    """2x2, stride 2; a last odd row or column is left out."""
    found: Array = _quarters(maps).max(axis=(2, 4))
    return found


def _unpool(maps: Array, gradient: Array) -> Array:
    """The gradient goes where the maximum was."""
    best = _quarters(maps) == _max_pool(maps)[:, :, None, :, None]
    found = np.zeros_like(maps)
    _quarters(found)[:] = best * gradient[:, :, None, :, None]
    return found


def _quarters(maps: Array) -> Array:
    """(images, height, width, channels) as (images, height / 2, 2, width / 2, 2, channels)."""
    images, height, width, channels = maps.shape
    height, width = height // POOL_SIZE, width // POOL_SIZE
    even = maps[:, : height * POOL_SIZE, : width * POOL_SIZE]
    return even.reshape(images, height, POOL_SIZE, width, POOL_SIZE, channels)


def _unmaximum(maps: Array, gradient: Array) -> Array:
    best: Array = maps == maps.max(axis=(1, 2), keepdims=True)
    return best * gradient[:, None, None]


def _unaverage(maps: Array, gradient: Array) -> Array:
    return np.broadcast_to(gradient[:, None, None] / np.prod(maps.shape[1:3]), maps.shape)


WEIGHTLESS: Mapping[LayerKind, Weightless] = {
    LayerKind.MAX_POOLING: Weightless(_max_pool, _unpool),
    LayerKind.FLATTEN: Weightless(
        lambda maps: maps.reshape(len(maps), -1),
        lambda maps, gradient: gradient.reshape(maps.shape),
    ),
    LayerKind.GLOBAL_AVERAGE_POOLING: Weightless(lambda maps: maps.mean(axis=(1, 2)), _unaverage),
    LayerKind.GLOBAL_MAX_POOLING: Weightless(lambda maps: maps.max(axis=(1, 2)), _unmaximum),
}
