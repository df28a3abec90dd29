"""Whether a network's activations fit into float16, whatever the processor at hand computes in.

ONNX Runtime's CPU kernels keep float32 between the layers of a float16 file, so that running one
there shows no overflow; graphics processors and neural engines do overflow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.formats.runner import Runner
from vggexport.network.rescaling import Scales, output_scales
from vggexport.network.spec import VGGSpec
from vggexport.quantization.ranges import observed_layers

LARGEST = 65504.0
"""The largest finite float16 (IEEE 754-2019, binary16)."""

SYNTHETIC_FACTOR = 4.0
"""How much further photographs may reach than synthetic images do."""

ROOM = 4.0
"""How much further than the images that were looked at a layer that is rescaled may reach: room
costs nothing, as floats have the same digits everywhere."""

Peaks = Mapping[str, float]
"""Largest absolute value of each layer's output, by its name."""


def peaks(runner: Runner, spec: VGGSpec, images: NDArray[np.uint8]) -> dict[str, float]:
    """What each observed layer reaches on some images, uint8 (images, height, width, 3)."""
    found = dict.fromkeys(observed_layers(spec), 0.0)
    for image in images:
        for name, values in runner.activations(image[np.newaxis], found).items():
            found[name] = float(np.maximum(found[name], np.abs(values).max()))
    return found


@dataclass(frozen=True, slots=True)
class Float16Range:
    """How layers fit into float16.

    Attributes:
        overflows: Layers, kernels and biases that do not, a clause each.
        scales: What makes them fit; nothing where nothing is needed, or helps.
    """

    overflows: tuple[str, ...] = ()
    scales: Scales = field(default_factory=dict)


def overflows(reached: Peaks, factor: float = 1.0) -> Iterator[str]:
    """A clause for every layer that does not fit, were values so much higher."""
    for name, peak in reached.items():
        if not peak * factor <= LARGEST:
            yield f"{name} reaches {peak:,.0f}, and float16 ends at {LARGEST:,.0f}"


def stored_overflows(
    weights: Mapping[str, NDArray[np.float32]], factors: Mapping[str, float]
) -> Iterator[str]:
    """A clause for every kernel and bias that does not fit, once it is multiplied by its factor."""
    for name, factor in factors.items():
        largest = float(np.abs(weights[name]).max()) * factor
        if not largest <= LARGEST:
            yield f"{name} holds {largest:,.0f}, and float16 ends at {LARGEST:,.0f}"


def rescaling(spec: VGGSpec, reached: Peaks) -> dict[str, float]:
    """Powers of two by which layers fit with :data:`ROOM`; the logits cannot be scaled."""
    names = [layer.name for layer in spec.weighted_layers[:-1]]
    needed = {name: reached[name] * ROOM / LARGEST for name in names if reached[name] < math.inf}
    return {name: 2.0 ** -math.ceil(math.log2(n)) for name, n in needed.items() if n > 1}


def rescaled(spec: VGGSpec, reached: Peaks, scales: Scales) -> Peaks:
    """What layers reach once they are scaled."""
    by = output_scales(spec, scales)
    return {name: peak * by[name] for name, peak in reached.items()}


def factor_for(source: str) -> float:
    """By how much values that images of a source give are to be taken higher."""
    return SYNTHETIC_FACTOR if source == calibration.SYNTHETIC else 1.0
