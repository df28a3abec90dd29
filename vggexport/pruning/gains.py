"""What an error of one layer does to the logits, measured: the network with one layer narrower.

Needs take errors of different places as independent, which they are not; their product with the
elimination's error is off by a factor that hardly depends on the width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vggexport.network.forward import Array, NumpyNetwork
from vggexport.network.layers import Layer
from vggexport.pruning.elimination import Elimination, rows_of
from vggexport.pruning.survey import Survey
from vggexport.pruning.widths import narrowed, prunable


def centred(logits: Array) -> NDArray[np.float64]:
    """Logits up to the constant that a softmax does not see; a single output is left as it is."""
    wide = logits.astype(np.float64)
    return wide - wide.mean(axis=1, keepdims=True) if logits.shape[1] > 1 else wide


@dataclass(frozen=True, slots=True)
class Measured:
    """What some images give.

    Attributes:
        images: Number of images.
        errors: By layer's name, squared error of the logits when that layer has half its channels,
            over the squared logits.
    """

    images: int
    errors: Mapping[str, float]


def half(layer: Layer) -> int:
    """The width at which a layer is measured."""
    return max(1, layer.kernel.shape[-1] // 2)


def measure(
    survey: Survey, eliminations: Mapping[str, Elimination], batches: Iterable[NDArray[np.uint8]]
) -> Iterator[Measured]:
    """Runs the network on images that the survey has not seen, each layer narrower in turn.

    Yields:
        What all images so far give.
    """
    network, images, power = survey.network, 0, 0.0
    variants = {}
    for layer, follower in network.pairs:
        if layer in prunable(network.spec):
            variants[follower] = _Variant.of(survey, layer, follower, eliminations[layer.name])
    errors = dict.fromkeys((one.layer.name for one in variants.values()), 0.0)
    for batch in batches:
        moved: dict[str, Array] = {}
        inputs = outputs = network.enter(batch)
        for layer in network.layers:
            if layer in variants:
                moved[variants[layer].layer.name] = variants[layer].logits(inputs)
            outputs = network.compute(layer, inputs)
            inputs = network.leave(layer, outputs)
        logits = centred(outputs)
        power += float(np.square(logits).sum())
        for name, others in moved.items():
            errors[name] += float(np.square(centred(others) - logits).sum())
        images += len(batch)
        yield Measured(images, {name: error / power for name, error in errors.items()})


@dataclass(frozen=True, slots=True)
class _Variant:
    """The network with one layer narrower, from the next one on."""

    layer: Layer
    follower: Layer
    network: NumpyNetwork
    kept: NDArray[np.intp]

    @classmethod
    def of(
        cls, survey: Survey, layer: Layer, follower: Layer, elimination: Elimination
    ) -> _Variant:
        width, channels = half(layer), layer.kernel.shape[-1]
        kept = elimination.kept(width)
        spec = narrowed(survey.network.spec, {layer.name: width})
        behind = spec.layer(follower.name)
        affine = survey.refitted(follower, kept, channels)
        own = {
            behind.kernel.name: affine[:-1].reshape(behind.kernel.shape),
            behind.bias.name: affine[-1],
        }
        return cls(layer, behind, NumpyNetwork(spec, {**survey.network.weights, **own}), kept)

    def logits(self, inputs: Array) -> Array:
        """From what the next layer takes in the whole network."""
        rows = rows_of(self.kept, self.layer.kernel.shape[-1], inputs.shape[-1])
        return self.network.logits(inputs[..., rows], self.follower)
