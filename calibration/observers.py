"""How the range of an activation is chosen from the values seen during calibration.

Every observer takes batch after batch in constant memory; only ``range`` does the search. The
range is meant for asymmetric quantization to 256 levels, and always contains zero so that zero
(padding, the output of a ReLU) is one of the levels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationDataError
from calibration.histogram import SIDE_BINS, Extremes, StreamingHistogram

LEVELS = 256
DEFAULT_PERCENTILE = 99.999
"""ReLU outputs have heavy tails: on a trained VGG-D 99.99 costs 8 dB on the logits, this 2 dB."""
SEARCH_STEPS = 256
"""Clippings that are tried on each side of zero."""


class RangeObserver(Protocol):
    """Chooses one activation's range."""

    def observe(self, values: NDArray[np.float32]) -> None:
        """Takes in one batch of values, float32 of any shape.

        Raises:
            CalibrationDataError: A value is NaN or infinite.
        """

    def range(self) -> tuple[float, float]:
        """The range (low, high) for all values so far: finite, low <= 0 <= high.

        It is (0, 0) if all values were zero.

        Raises:
            CalibrationDataError: Nothing has been observed.
        """


class HistogramObserver(StreamingHistogram, ABC):
    """Base of the observers that leave out some of the values."""

    def range(self) -> tuple[float, float]:
        """The chosen range, never wider than the values."""
        lowest, highest = self.extremes.range()
        if lowest == highest:
            return lowest, highest
        low, high = self._search()
        low, high = max(lowest, min(low, 0.0)), min(highest, max(high, 0.0))
        # Less than a bin: nearly all values are zero, and the others would all be clipped.
        return (low, high) if high - low > self.width else (lowest, highest)

    @abstractmethod
    def _search(self) -> tuple[float, float]:
        """The range before it is limited to the values seen, of which some are not zero."""


class PercentileObserver(HistogramObserver):
    """Leaves out the same share of all values at either end.

    Args:
        percentile: Where the upper end is, above 50 and up to 100; the lower is at 100 minus it.

    Raises:
        CalibrationDataError: ``percentile`` is out of range.
    """

    def __init__(self, percentile: float = DEFAULT_PERCENTILE) -> None:
        super().__init__()
        if not 50 < percentile <= 100:
            raise CalibrationDataError(
                f"percentile {percentile}: pass a number above 50 and up to 100"
            )
        self.percentile = percentile

    def _search(self) -> tuple[float, float]:
        return self._value_at(100 - self.percentile), self._value_at(self.percentile)

    def _value_at(self, percent: float) -> float:
        """The inverse of the cumulative distribution, linear within a bin."""
        cumulative = np.concatenate(([0], np.cumsum(self.counts)))
        rank = max(percent / 100 * self.total, 1)
        bin_index = int(np.searchsorted(cumulative, rank)) - 1
        share = (rank - cumulative[bin_index]) / self.counts[bin_index]
        return float(self.edges[bin_index] + share * self.width)


class MSEObserver(HistogramObserver):
    """Minimises the expected squared error of quantized values.

    A value inside of the range is off by a uniformly distributed rounding error, of variance
    step^2 / 12 with step = (high - low) / 255; exact zeros are not off, zero being a level. A
    value outside is off by its distance to the range.
    """

    def _search(self) -> tuple[float, float]:
        lowest, highest = self.extremes.range()
        fractions = np.linspace(0, 1, SEARCH_STEPS + 1)
        lows, highs = lowest * fractions, highest * fractions
        low_errors, below = self._clipping(-lows, -self.centres)
        high_errors, above = self._clipping(highs, self.centres)
        rounded = self.total - self.zeros - below[:, None] - above[None, :]
        step = (highs[None, :] - lows[:, None]) / (LEVELS - 1)
        errors = low_errors[:, None] + high_errors[None, :] + rounded * step**2 / 12
        best_low, best_high = np.unravel_index(np.argmin(errors), errors.shape)
        return float(lows[best_low]), float(highs[best_high])

    def _clipping(
        self, limits: NDArray[np.float64], centres: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """For each limit, the summed squared distance of the values beyond it, and their number."""
        excess = np.maximum(centres[None, :] - limits[:, None], 0)
        counts = self.counts.astype(np.float64)
        return excess**2 @ counts, (excess > 0) @ counts


class EntropyObserver(HistogramObserver):
    """Minimises the Kullback-Leibler divergence of the quantized from the true distribution.

    S. Migacz, "8-bit Inference with TensorRT", GPU Technology Conference 2017, with these changes:
    the values are clipped at -t and t for each threshold t that is tried, but the 256 levels
    cover the part of that range which has values, so that the range is asymmetric; and exact
    zeros are left out, as zero is always a level.
    """

    def _search(self) -> tuple[float, float]:
        counts = self.counts.astype(np.float64)
        counts[SIDE_BINS] -= self.zeros
        occupied = np.flatnonzero(counts)
        first, last = min(occupied[0], SIDE_BINS), max(occupied[-1] + 1, SIDE_BINS)
        peak = int(max(SIDE_BINS - first, last - SIDE_BINS))
        thresholds = np.unique(np.linspace(peak, LEVELS, SEARCH_STEPS).astype(int))[::-1]
        ranges = [
            (max(first, SIDE_BINS - threshold), min(last, SIDE_BINS + threshold))
            for threshold in thresholds
        ]
        best = min(ranges, key=lambda bounds: divergence(counts, *bounds))  # the widest of equals
        edges = self.edges
        return float(edges[best[0]]), float(edges[best[1]])


def divergence(counts: NDArray[np.float64], first: int, last: int) -> float:
    """What is lost by clipping to the bins ``first`` up to ``last`` and quantizing to 256 levels.

    The reference distribution has the values outside in its outermost bins. In the quantized one,
    each level's values are spread evenly over those of its bins that are occupied; an outermost
    bin that is occupied by clipped values alone counts as having one value.

    Args:
        counts: Shape (bins,), float64: number of values in each bin, some of them not zero.
        first: First bin of the range.
        last: Bin after the range, at least ``first + 1``.

    Returns:
        The Kullback-Leibler divergence in nats, 0 or more; infinity if the range has no values.
    """
    inside = counts[first:last]
    if not inside.any():
        return np.inf
    reference = inside.copy()
    reference[0] += counts[:first].sum()
    reference[-1] += counts[last:].sum()
    level = np.arange(inside.size) * LEVELS // inside.size
    values = np.bincount(level, weights=inside)
    bins = np.bincount(level, weights=inside > 0)
    quantized = np.where(inside > 0, (values / np.maximum(bins, 1))[level], 1.0)
    seen = reference > 0
    p = reference[seen] / reference.sum()
    q = quantized[seen] / quantized[seen].sum()
    return float(np.sum(p * np.log(p / q)))


OBSERVERS: Mapping[str, type[RangeObserver]] = {
    "minmax": Extremes,
    "percentile": PercentileObserver,
    "entropy": EntropyObserver,
    "mse": MSEObserver,
}
"""The observers by the name of their method."""

DEFAULT_METHOD = "minmax"


def make_observer(method: str) -> RangeObserver:
    """A new observer.

    Raises:
        CalibrationDataError: No such method.
    """
    if method not in OBSERVERS:
        raise CalibrationDataError(
            f"calibration method {method!r} is unknown: choose from {', '.join(OBSERVERS)}"
        )
    return OBSERVERS[method]()
