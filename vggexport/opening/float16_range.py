"""Whether a network's activations fit into float16, whatever the processor at hand computes in.

ONNX Runtime's CPU kernels keep float32 between the layers of a float16 file, so that running one
there shows no overflow; graphics processors and neural engines do overflow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.formats.runner import Runner
from vggexport.network.spec import VGGSpec
from vggexport.quantization.ranges import observed_layers

LARGEST = 65504.0
"""The largest finite float16 (IEEE 754-2019, binary16)."""

SYNTHETIC_FACTOR = 4.0
"""How much further photographs may reach than synthetic images do."""

Peaks = Mapping[str, float]
"""Largest absolute value of each layer's output, by its name."""


def peaks(runner: Runner, spec: VGGSpec, images: NDArray[np.uint8]) -> dict[str, float]:
    """What each observed layer reaches on some images, uint8 (images, height, width, 3)."""
    found = dict.fromkeys(observed_layers(spec), 0.0)
    for image in images:
        for name, values in runner.activations(image[np.newaxis], found).items():
            found[name] = float(np.maximum(found[name], np.abs(values).max()))
    return found


def overflows(spec: VGGSpec, reached: Peaks, factor: float = 1.0) -> Iterator[str]:
    """A clause for every layer that does not fit, with what makes it fit and changes no answer.

    ReLU and pooling carry a positive factor through, so that a layer may be divided by a power of
    two, exactly, and the next layer multiplied by it. The logits are the last: there is no next.
    """
    names = [layer.name for layer in spec.weighted_layers]
    for name, peak in reached.items():
        if peak * factor <= LARGEST:
            continue
        fact = f"{name} reaches {peak:,.0f}, and float16 ends at {LARGEST:,.0f}"
        if name == names[-1]:
            yield fact
            continue
        power = 2 ** math.ceil(math.log2(peak * factor / LARGEST)) if math.isfinite(peak) else 2
        following = names[names.index(name) + 1]
        yield (
            f"{fact}: divide kernel and bias of {name} by {power} and multiply the kernel of "
            f"{following} by it, which changes no answer"
        )


def factor_for(source: str) -> float:
    """By how much values that images of a source give are to be taken higher."""
    return SYNTHETIC_FACTOR if source == calibration.SYNTHETIC else 1.0
