"""Numerical parity of two runs of one network: metrics of one against the other.

Works on probabilities as arrays, whatever computed them. Signal-to-quantization-noise ratio
(SQNR) is 10 log10 of reference power over error power, in dB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.metrics.choices import Choices, RunningChoices
from vggexport.network.head import HeadActivation
from vggexport.system.json_values import Finite, JsonValue

TOP_K = 5
CERTAIN = 1e-4
"""Probabilities of a sigmoid nearer to 0 or 1 are all one. float32 tells 1 - p apart in steps of
6e-8, and runtimes stop at other ends of the scale: from here on the logit is certain to 6e-4 of
9.2, 84 dB, and float32's limit is 80 dB."""

HALF_STEP = 1 / 512
"""Of probabilities in whole 256ths: what was rounded to none may have been up to this."""

HALVES_END = {HeadActivation.SOFTMAX: 2.0**-14, HeadActivation.SIGMOID: 2.0**-9}
"""Of probabilities in half precision: 2**-14 is its smallest normal number, and what is smaller may
be 0. Just below 1 it has steps of 2**-11, a quarter of what a sigmoid of 1 - 2**-9 lacks to 1."""

_SMALLEST = 1e-30
"""Probability that smaller ones count as, before their logarithm is taken. Near the smallest normal
float32 number runtimes differ in what they keep: LiteRT's softmax has steps of 1.2e-38 there."""


@dataclass(frozen=True, slots=True)
class ParityMetrics(JsonValue):
    """How far a candidate's probabilities are from the reference's.

    Attributes:
        max_abs: Largest absolute difference of one probability.
        rel_l2: L2 norm of the difference over that of the reference.
        sqnr_db: SQNR of the probabilities; infinite for equal arrays.
        logit_sqnr_db: SQNR of the logits, taken as log-probabilities minus their mean in each
            image, which are the logits up to a constant. The steadiest of these figures.
        cosine: Cosine of the angle between all probabilities as one vector.
        top1_agreement: Share of images with the same best class; of a sigmoid, of outputs on the
            same side of 0.5.
        top5_agreement: Share of the reference's five best classes found among the candidate's.
        finite: False if one of the two holds a NaN or an infinity.
        logit_rms_error: Root of the mean square of the logits' differences.
        choices: Which classes both choose.
        coarse_logit_sqnr_db: SQNR of the logits as far as probabilities in whole 256ths tell them:
            what is less than half a step counts as that.
        half_logit_sqnr_db: The same as far as probabilities in half precision tell them, up to
            :data:`HALVES_END`.
    """

    json_keys = "max_abs rel_l2 sqnr_db logit_sqnr_db cosine top1_agreement top5_agreement"

    max_abs: Finite
    rel_l2: Finite
    sqnr_db: Finite
    logit_sqnr_db: Finite
    cosine: Finite
    top1_agreement: Finite
    top5_agreement: Finite
    finite: bool
    logit_rms_error: float = math.inf
    choices: Choices | None = None
    coarse_logit_sqnr_db: float = -math.inf
    half_logit_sqnr_db: float = -math.inf


def compare(
    reference: NDArray[Any],
    candidate: NDArray[Any],
    activation: HeadActivation = HeadActivation.SOFTMAX,
) -> ParityMetrics:
    """Metrics of a candidate's probabilities against a reference's, from the same images.

    Both are finite float (images, classes), and the activation is what both networks end in.

    Raises:
        ValueError: The shapes differ, or there is nothing to compare.
    """
    comparison = Comparison(activation)
    comparison.add(reference, candidate)
    return comparison.metrics()


class Comparison:
    """Two runs compared batch by batch, in memory that does not grow with the number of images."""

    def __init__(self, activation: HeadActivation = HeadActivation.SOFTMAX) -> None:
        self.images = 0
        self._activation = activation
        self._sums: dict[str, float] = dict.fromkeys(_SUMS, 0.0)
        self._max_abs = 0.0
        self._finite = True
        self._outputs = 0
        self._choices = RunningChoices(activation)

    def add(self, reference: NDArray[Any], candidate: NDArray[Any]) -> NDArray[np.float64]:
        """Takes in one more batch: finite float (images, classes), both from the same images.

        Returns:
            SQNR of each image's logits in dB, (images,); minus infinity where one is not finite.

        Raises:
            ValueError: The shapes differ.
        """
        if reference.shape != candidate.shape or reference.ndim != len(("images", "classes")):
            raise ValueError(f"probabilities of shape {reference.shape} against {candidate.shape}")
        expected, actual = reference.astype(np.float64), candidate.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinity minus infinity is the NaN that never passes
            return self._add(expected, actual)

    def metrics(self) -> ParityMetrics:
        """What all batches together give.

        Raises:
            ValueError: There were no images.
        """
        if not self.images:
            raise ValueError("no images to compare")
        sums = self._sums
        norms = math.sqrt(sums["signal"] * sums["power"])
        return ParityMetrics(
            max_abs=self._max_abs,
            rel_l2=_ratio(math.sqrt(sums["noise"]), math.sqrt(sums["signal"])),
            sqnr_db=decibels(sums["signal"], sums["noise"]),
            logit_sqnr_db=decibels(sums["logit_signal"], sums["logit_noise"]),
            cosine=sums["product"] / norms if norms else 0.0,
            top1_agreement=sums["top1"] / self.images,
            top5_agreement=sums["top5"] / self.images,
            finite=self._finite,
            logit_rms_error=math.sqrt(sums["logit_noise"] / self._outputs),
            choices=self._choices.choices(),
            coarse_logit_sqnr_db=decibels(sums["coarse_signal"], sums["coarse_noise"]),
            half_logit_sqnr_db=decibels(sums["half_signal"], sums["half_noise"]),
        )

    def _add(
        self, expected: NDArray[np.float64], actual: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        error, of_logits = actual - expected, {}
        ends = {"logit": 0.0, "coarse": HALF_STEP, "half": HALVES_END[self._activation]}
        for name, end in ends.items():
            logits = logits_of(expected, self._activation, end)
            of_logits[name] = logits, logits_of(actual, self._activation, end) - logits
        top = min(TOP_K, expected.shape[1])
        batch = {
            "signal": np.sum(expected**2),
            "power": np.sum(actual**2),
            "noise": np.sum(error**2),
            "product": np.sum(expected * actual),
            **{f"{name}_signal": np.sum(of[0] ** 2) for name, of in of_logits.items()},
            **{f"{name}_noise": np.sum(of[1] ** 2) for name, of in of_logits.items()},
            "top1": _agreeing(expected, actual, self._activation),
            "top5": _shared(_best(expected, top), _best(actual, top)),
        }
        for name, value in batch.items():
            self._sums[name] += float(value)
        largest = np.abs(error).max(initial=0.0)
        self._max_abs = float(np.maximum(self._max_abs, largest))  # keeps a NaN
        self._finite &= bool(np.isfinite(error).all())
        self.images += len(expected)
        self._outputs += expected.size
        self._choices.add(expected, actual)
        return _row_sqnr_db(*of_logits["logit"])


_SUMS = (
    *("signal", "power", "noise", "product", "logit_signal", "logit_noise"),
    *("coarse_signal", "coarse_noise", "half_signal", "half_noise", "top1", "top5"),
)


def sqnr_db(reference: NDArray[Any], candidate: NDArray[Any]) -> float:
    """10 log10(sum of reference^2 / sum of (candidate - reference)^2), in dB.

    Infinite where the arrays are equal; NaN where one holds a NaN.
    """
    signal = float(np.sum(np.square(reference, dtype=np.float64)))
    noise = float(np.sum(np.square(np.subtract(candidate, reference, dtype=np.float64))))
    return decibels(signal, noise)


def _ratio(noise: float, signal: float) -> float:
    """Of two norms; infinite without a signal: full-integer files may round all to zero."""
    if signal:
        return noise / signal
    return math.inf if noise else 0.0


def decibels(signal: float, noise: float) -> float:
    """10 log10 of signal power over noise power; infinite without noise."""
    if noise == 0:
        return float("inf")
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(np.float64(signal) / noise))


def centred_logits(probabilities: NDArray[Any], smallest: float = _SMALLEST) -> NDArray[np.float64]:
    """Logits of a softmax up to a constant: log-probabilities minus their mean, an image a row."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), smallest))
    centred: NDArray[np.float64] = logits - logits.mean(axis=1, keepdims=True)
    return centred


def logits_of(
    probabilities: NDArray[Any], activation: HeadActivation, smallest: float = 0.0
) -> NDArray[np.float64]:
    """Logits of a softmax up to a constant an image, or those of a sigmoid, ln(p / (1 - p)).

    Args:
        probabilities: float (images, classes).
        activation: What gave them.
        smallest: What smaller ones count as, and of a sigmoid those nearer to 1; never less than
            what runtimes keep.
    """
    if activation is HeadActivation.SOFTMAX:
        return centred_logits(probabilities, max(smallest, _SMALLEST))
    end = max(smallest, CERTAIN)
    p = np.clip(probabilities.astype(np.float64), end, 1 - end)
    found: NDArray[np.float64] = np.log(p) - np.log1p(-p)
    return found


def _agreeing(
    expected: NDArray[np.float64], actual: NDArray[np.float64], activation: HeadActivation
) -> float:
    """Images with the same best class; of a sigmoid, outputs on the same side of 0.5."""
    if activation is HeadActivation.SOFTMAX:
        return float(np.sum(expected.argmax(1) == actual.argmax(1)))
    return float(np.sum(np.mean((expected > 0.5) == (actual > 0.5), axis=1)))  # noqa: PLR2004


def probabilities_of(logits: NDArray[Any], activation: HeadActivation) -> NDArray[np.float32]:
    """What an activation makes of logits, an image a row; computed in float64."""
    return softmax(logits) if activation is HeadActivation.SOFTMAX else sigmoid(logits)


def sigmoid(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities of logits, each by itself; computed in float64."""
    return (0.5 * (1 + np.tanh(logits.astype(np.float64) / 2))).astype(np.float32)


def softmax(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities of logits, an image a row; computed in float64."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32)


def _best(probabilities: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :count]


def _shared(expected: NDArray[np.intp], actual: NDArray[np.intp]) -> float:
    """Sum over the images of the share of classes that both name."""
    shared = np.count_nonzero(expected[:, :, None] == actual[:, None, :])
    return shared / int(expected.shape[1])


def _row_sqnr_db(signal: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratios: NDArray[np.float64] = np.sum(signal**2, axis=1) / np.sum(noise**2, axis=1)
        decibels_by_row: NDArray[np.float64] = 10 * np.log10(ratios)
    exact = np.all(noise == 0, axis=1)
    return np.where(exact, np.inf, np.nan_to_num(decibels_by_row, nan=-np.inf, posinf=np.inf))
