"""The SQNR of layer after layer, and the first layer that falls by more than rounding explains.

Errors of independent roundings add up as powers, so that a layer's noise is that of its input,
passed on, and its own. A healthy layer's own noise is known from the precision it computes in; what
a layer has beyond that was put there by a mistake.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from vggexport.metrics.tolerance import LayerSqnr
from vggexport.network.layers import OUTPUT_NAME, Layer

PASSED_ON_DB = 6.0
"""What a healthy layer may lose of its input's SQNR without any rounding of its own, in dB: ReLU
and large biases take more of the signal than of the noise. Measured 1 dB on a trained VGG-D, and
4 dB on tiny random networks."""


SAME_INTEGERS_OWN_NOISE = LayerSqnr(50.0, 30.0)
"""Of two files with the same integers: layers measured equal, or 66 dB where one runtime rounds
differently; activations quantized by image against by block measured 38 dB."""


def expected_sqnr_db(
    layers: Sequence[Layer], sqnr_db: Sequence[float], own: LayerSqnr
) -> Iterator[float]:
    """What each layer's SQNR should reach, given that of the layer before it, in dB.

    A NaN counts as no signal at all; ``own`` is what healthy layers add.
    """
    passed_on = 0.0
    for layer, actual in zip(layers, sqnr_db, strict=True):
        noise = passed_on + _noise(own.of(layer))
        yield -10 * math.log10(noise) if noise else math.inf
        passed_on = _noise(actual - PASSED_ON_DB)


def first_suspicious(
    layers: Sequence[Layer], sqnr_db: Sequence[float], own: LayerSqnr
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
