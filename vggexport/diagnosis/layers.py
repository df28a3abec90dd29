"""The SQNR of layer after layer, and the first layer that falls by more than rounding explains.

Errors of independent roundings add up as powers, so that a layer's noise is that of its input,
passed on, and its own. A healthy layer's own noise is known from the precision it computes in; what
a layer has beyond that was put there by a mistake.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vggexport.network.layers import OUTPUT_NAME, Layer
from vggexport.precision import Precision

PASSED_ON_DB = 6.0
"""What a healthy layer may lose of its input's SQNR without any rounding of its own, in dB: ReLU
and large biases take more of the signal than of the noise. Measured 1 dB on a trained VGG-D, and
4 dB on tiny random networks."""


@dataclass(frozen=True, slots=True)
class OwnNoise:
    """The least SQNR that healthy layers have on an exact input, in dB.

    Attributes:
        convolution: Of convolutions and of the mean subtraction.
        fully_connected: Of fully connected layers.
    """

    convolution: float
    fully_connected: float

    def of(self, layer: Layer) -> float:
        """That of one layer; infinite where nothing is rounded."""
        if layer.kind.keeps_values or layer.name == OUTPUT_NAME:
            return math.inf
        return self.fully_connected if layer.is_matrix else self.convolution


OWN_NOISE: Mapping[Precision, OwnNoise] = {
    Precision.FLOAT32: OwnNoise(100.0, 95.0),
    Precision.FLOAT16: OwnNoise(50.0, 48.0),
    Precision.DYNAMIC_INT8: OwnNoise(24.0, 22.0),
    Precision.INT8: OwnNoise(24.0, 22.0),
    Precision.INT8_W4: OwnNoise(24.0, 9.0),
}
"""Measured: float32 116 dB, float16 62 dB, int8 32 dB, int4 16 dB (layers of a trained VGG-D on
photographs); 8 dB and more are left for other weights and images."""

SAME_INTEGERS_OWN_NOISE = OwnNoise(50.0, 30.0)
"""Of two files with the same integers: layers measured equal, or 66 dB where one runtime rounds
differently; activations quantized by image against by block measured 38 dB."""


def expected_sqnr_db(
    layers: Sequence[Layer], sqnr_db: Sequence[float], own: OwnNoise
) -> Iterator[float]:
    """What each layer's SQNR should reach, given that of the layer in front of it, in dB.

    Args:
        layers: In order, from the first.
        sqnr_db: What they have; a NaN counts as no signal at all.
        own: What healthy layers add.
    """
    passed_on = 0.0
    for layer, actual in zip(layers, sqnr_db, strict=True):
        noise = passed_on + _noise(own.of(layer))
        yield -10 * math.log10(noise) if noise else math.inf
        passed_on = _noise(actual - PASSED_ON_DB)


def first_suspicious(
    layers: Sequence[Layer], sqnr_db: Sequence[float], own: OwnNoise
) -> tuple[int, float] | None:
    """The first layer below its expectation, and that in dB; None if there is no such layer.

    The probabilities are left out: how much of the logits' error they show depends on how certain
    the network is.
    """
    expected = expected_sqnr_db(layers, sqnr_db, own)
    for index, (layer, actual, least) in enumerate(zip(layers, sqnr_db, expected, strict=True)):
        if layer.name != OUTPUT_NAME and not actual >= least:
            return index, least
    return None


def _noise(sqnr_db: float) -> float:
    """Noise power for a signal of power 1; infinite for a NaN."""
    return math.inf if math.isnan(sqnr_db) else 10.0 ** (-sqnr_db / 10)
