"""Backward elimination: which input channel of a layer can be spared best, again and again.

With the regularized second moments H of a layer's inputs, taking a channel's rows i out of kernel W
and refitting the others costs tr(W_i' (H^-1)_ii^-1 W_i); W and H^-1 of what is left follow from the
same factors (Optimal Brain Surgeon by blocks of rows). One pass gives the order and the whole curve
of error against width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.network.forward import Array

BATCH = 8
"""Channels taken out between two updates of the whole inverse."""


@dataclass(frozen=True, slots=True, eq=False)
class Elimination:
    """In which order channels go.

    Attributes:
        order: All channels, the first to go first.
        errors: float64 (channels,): weighted squared error of the layer's outputs once so many
            channels are gone, from 0 of them on.
    """

    order: NDArray[np.intp]
    errors: NDArray[np.float64]

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it is made of, by name."""
        return {"order": self.order, "errors": self.errors}

    def kept(self, width: int) -> NDArray[np.intp]:
        """The channels of a layer of that width, in their own order."""
        return np.sort(self.order[len(self.order) - width :])

    def error_at(self, width: int) -> float:
        """What that width costs."""
        return float(self.errors[len(self.order) - width])


def regularized(moments: NDArray[Any], ridge: float) -> NDArray[Any]:
    """Second moments with a share of their mean diagonal added to it."""
    found = moments.copy()
    found[np.diag_indices_from(found)] += ridge * float(np.trace(moments)) / len(moments)
    return found


def eliminate(moments: Array, kernel: Array, channels: int) -> Elimination:
    """Takes channels out until one is left.

    Args:
        moments: H: regularized second moments of the inputs about their mean, (rows, rows). A
            kernel's rows are in its own order: all channels of the first position come first.
        kernel: (rows, outputs), an output's column times the root of what its error counts.
        channels: Input channels; each has rows / channels rows.
    """
    return _Pass(moments, kernel, channels).run()


def refitted(moments: Array, kernel: Array, rows: NDArray[np.intp]) -> Array:
    """The kernel, (rows, outputs), of these rows alone that comes nearest to all rows'.

    The moments are H, as for :func:`eliminate`.
    """
    return np.linalg.solve(moments[np.ix_(rows, rows)], moments[rows] @ kernel)


def rows_of(kept: NDArray[np.intp], channels: int, rows: int) -> NDArray[np.intp]:
    """Rows of a kernel that belong to these of its input channels."""
    return (np.arange(0, rows, channels)[:, None] + kept).reshape(-1)


class _Pass:
    """One elimination: rows channel by channel, what was taken out in a batch kept as factors."""

    def __init__(self, moments: Array, kernel: Array, channels: int) -> None:
        rows = len(moments)
        by_channel = np.arange(rows).reshape(-1, channels).T.reshape(-1)
        self._rows = rows // channels
        self._inverse = np.linalg.inv(moments[np.ix_(by_channel, by_channel)])
        self._kernel = _no_wider(kernel)[by_channel]
        self._left = np.arange(channels)

    def run(self) -> Elimination:
        order: list[int] = []
        errors = [0.0]
        while len(self._left) > 1:
            for channel, cost in self._batch(min(BATCH, len(self._left) - 1)):
                order.append(channel)
                errors.append(errors[-1] + cost)
        order.append(int(self._left[0]))
        return Elimination(np.array(order), np.array(errors))

    def _batch(self, count: int) -> list[tuple[int, float]]:
        """Takes so many channels out, then brings the inverse up to date."""
        channels, rows = len(self._left), self._rows
        blocks = self._inverse.reshape(channels, rows, channels, rows)
        blocks = blocks[np.arange(channels), :, np.arange(channels)].copy()
        factors = np.zeros((channels * rows, count * rows), self._inverse.dtype)
        found, gone = [], np.zeros(channels, bool)
        for number in range(count):
            best, cost = self._cheapest(blocks, gone)
            span = slice(best * rows, (best + 1) * rows)
            column = self._inverse[:, span] - factors @ factors[span].T
            root = np.linalg.cholesky(np.linalg.inv((blocks[best] + blocks[best].T) / 2))
            factor = column @ root
            factors[:, number * rows : (number + 1) * rows] = factor
            self._kernel -= factor @ (root.T @ self._kernel[span])
            by_channel = factor.reshape(channels, rows, rows)
            blocks -= by_channel @ by_channel.transpose(0, 2, 1)
            gone[best] = True
            blocks[gone] = np.eye(rows, dtype=blocks.dtype)
            found.append((int(self._left[best]), cost))
        self._forget(gone, factors)
        return found

    def _cheapest(self, blocks: Array, gone: NDArray[np.bool_]) -> tuple[int, float]:
        kernels = self._kernel.reshape(len(blocks), self._rows, -1)
        costs = np.einsum("crs,crs->c", np.linalg.inv(blocks) @ kernels, kernels)
        costs[gone] = np.inf
        best = int(costs.argmin())
        return best, float(costs[best])

    def _forget(self, gone: NDArray[np.bool_], factors: Array) -> None:
        """Leaves only the rows of channels that are still there."""
        rows = np.repeat(~gone, self._rows)
        factors = factors[rows]
        self._inverse = self._inverse[np.ix_(rows, rows)]
        self._inverse -= factors @ factors.T
        self._kernel = self._kernel[rows]
        self._left = self._left[~gone]


def _no_wider(kernel: Array) -> Array:
    """A kernel of no more columns than rows whose rows have the same products with each other."""
    if kernel.shape[1] <= len(kernel):
        return kernel
    values, vectors = np.linalg.eigh(kernel @ kernel.T)
    vectors *= np.sqrt(np.maximum(values, 0))
    return vectors
