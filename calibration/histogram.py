"""A histogram of values that arrive batch by batch, in constant memory."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationDataError

SIDE_BINS = 4096
"""Bins on each side of zero."""

_NARROWEST_BIN = 2.0**-100  # its inverse is still far from overflowing in float32
_CHUNK_VALUES = 1 << 16  # what is worked on at once stays in the processor's cache


class Extremes:
    """The smallest and the largest value.

    Attributes:
        low: Smallest value so far, infinity before the first.
        high: Largest value so far, minus infinity before the first.
    """

    def __init__(self) -> None:
        self.low = np.inf
        self.high = -np.inf

    def observe(self, values: NDArray[Any]) -> None:
        """Takes in values of any shape; none at all changes nothing.

        Raises:
            CalibrationDataError: A value is NaN or infinite.
        """
        if values.size == 0:
            return
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise CalibrationDataError(
                f"observed activations range from {low} to {high} where finite values were "
                f"expected: check the weights and the calibration images"
            )
        self.low, self.high = min(self.low, low), max(self.high, high)

    def range(self) -> tuple[float, float]:
        """Smallest range that has all values and zero.

        Raises:
            CalibrationDataError: Nothing has been observed.
        """
        if self.low > self.high:
            raise CalibrationDataError(
                "no activations were observed: run at least one calibration image first"
            )
        return min(self.low, 0.0), max(self.high, 0.0)


class StreamingHistogram:
    """Counts in bins of equal width, ``SIDE_BINS`` on each side of zero.

    The width is a power of two. When a value does not fit, it doubles as often as needed and
    neighbouring bins are merged, so the result does not depend on the order of the batches.
    The side that reaches farther fills between half and all of its bins: the width is at most
    1/2047 of the largest magnitude, however little the other side needs. Only values all below
    1e-27 have wider bins than that.

    Attributes:
        counts: Shape (2 * SIDE_BINS,), int64. Bin i has the values from
            ``(i - SIDE_BINS) * width`` to just below ``(i + 1 - SIDE_BINS) * width``.
        width: Width of a bin.
        zeros: How many values are exactly zero; they are in ``counts`` as well.
        extremes: Smallest and largest value.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(2 * SIDE_BINS, dtype=np.int64)
        self.width = _NARROWEST_BIN
        self.zeros = 0
        self.extremes = Extremes()

    def observe(self, values: NDArray[np.float32]) -> None:
        """Counts values of any shape.

        Raises:
            CalibrationDataError: A value is NaN or infinite.
        """
        flat = np.asarray(values, dtype=np.float32).reshape(-1)
        if flat.size == 0:
            return
        self.extremes.observe(flat)
        self._grow(max(-self.extremes.low, self.extremes.high))
        self.zeros += flat.size - int(np.count_nonzero(flat))
        edges = (*range(0, flat.size, _CHUNK_VALUES), flat.size)
        for start, end in pairwise(edges):
            self._count(flat[start:end])

    @property
    def edges(self) -> NDArray[np.float64]:
        """Shape (2 * SIDE_BINS + 1,): where each bin begins, and the end of the last."""
        return np.arange(-SIDE_BINS, SIDE_BINS + 1, dtype=np.float64) * self.width

    @property
    def centres(self) -> NDArray[np.float64]:
        """Shape (2 * SIDE_BINS,): the middle of each bin."""
        return self.edges[:-1] + self.width / 2

    @property
    def total(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    def _grow(self, peak: float) -> None:
        # The outermost bin stays empty: adding SIDE_BINS in float32 may round up by one bin.
        while peak > (SIDE_BINS - 1) * self.width:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[:] = 0
            self.counts[SIDE_BINS // 2 : SIDE_BINS // 2 + SIDE_BINS] = merged
            self.width *= 2

    def _count(self, chunk: NDArray[np.float32]) -> None:
        positions = chunk * np.float32(1 / self.width)  # exact: the width is a power of two
        positions += np.float32(SIDE_BINS)
        # All are positive here, so that the conversion rounds down. The sum is rounded to 1/2048
        # of a bin, so that a value that close below an edge may be counted above it.
        self.counts += np.bincount(positions.astype(np.intp), minlength=self.counts.size)
