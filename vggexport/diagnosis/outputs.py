"""The known mistakes after the last layer, recognized by what a file puts out alone.

Each makes up for one mistake: it changes what the file gave, or what the reference gave, so that
the two agree if that was the mistake; or it tells that the output has not the marks of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.metrics.parity import logits_of, probabilities_of, softmax
from vggexport.network.head import HeadActivation

Probabilities = NDArray[Any]
"""float (images, classes)."""

Pair = tuple[Probabilities, Probabilities]
"""Of the reference and of the file."""

MAX_SUM_ERROR = 0.01
"""Of probabilities, from 1: float16 ones of 1000 classes are 0.002 off."""

_ONE = 1 + MAX_SUM_ERROR

FEWEST_STEPS = 4
MOST_STEPS = 1024
"""In the range of values that lie on a grid: 8 bits have 255."""

GRID_OFFSETS = 32
"""Positions of a grid's zero between two of its steps that are tried."""

GRID_ERROR = 0.02
"""Of a value, in steps of the grid: what is left by float32 logarithms is below 0.005."""

SURE_LOGIT = 4.0
"""Logits of a sigmoid above it are not looked at for a grid: the nearer a probability is to 1, the
less of its logit float32 keeps, 2e-6 there."""


@dataclass(frozen=True, slots=True)
class OutputFault:
    """One mistake with the output.

    Attributes:
        name: Its short name.
        description: What the file does, a clause.
        fix: What to do about it.
        make_up: Expected and actual probabilities once it is made up for; None where the output has
            not the marks of it.
        lossy: Whether that comes near only.
        is_fitted: Whether it was fitted to the answers, so that it comes nearer in any case.
    """

    name: str
    description: str
    fix: str
    make_up: Callable[[Probabilities, Probabilities], Pair | None]
    lossy: bool = False
    is_fitted: bool = False


def _apply_missing_end(
    activation: HeadActivation, expected: Probabilities, actual: Probabilities
) -> Pair | None:
    sums = actual.sum(axis=1) if activation is HeadActivation.SOFTMAX else np.ones(1)
    if np.all(np.abs(sums - 1) <= MAX_SUM_ERROR) and actual.min() >= 0 and actual.max() <= _ONE:
        return None
    return expected, probabilities_of(actual, activation)


def _apply_end_twice(
    activation: HeadActivation, expected: Probabilities, actual: Probabilities
) -> Pair | None:
    return probabilities_of(expected, activation), actual


def _order_classes(
    activation: HeadActivation, expected: Probabilities, actual: Probabilities
) -> Pair | None:
    """The file's classes in the order in which they are nearest to the reference's."""
    mine, theirs = (logits_of(outputs, activation) for outputs in (expected, actual))
    distances = (mine**2).sum(0)[:, None] + (theirs**2).sum(0)[None] - 2 * mine.T @ theirs
    order = _assigned(distances)
    return None if np.array_equal(order, np.arange(len(order))) else (expected, actual[:, order])


def _assigned(distances: NDArray[np.float64]) -> NDArray[np.intp]:
    """A column for each row, no two the same: the nearest pairs first."""
    order = np.full(len(distances), -1)
    taken = np.zeros(len(distances), bool)
    for row, column in zip(
        *np.unravel_index(distances.argsort(None), distances.shape), strict=True
    ):
        if order[row] < 0 and not taken[column]:
            order[row], taken[column] = column, True
    return order


def _quantize_probabilities(expected: Probabilities, actual: Probabilities) -> Pair | None:
    """The reference's in the file's steps, and nothing below one: a zero has no logarithm."""
    step = grid_step(actual)
    if step is None:
        return None
    rounded = np.clip(np.rint(expected / step) * step, step, actual.max())
    return rounded, np.maximum(actual, step)


def _quantize_logits(
    activation: HeadActivation, expected: Probabilities, actual: Probabilities
) -> Pair | None:
    if activation is HeadActivation.SOFTMAX:
        return _quantize_softmax_logits(expected, actual)
    mine, theirs = (logits_of(outputs, activation) for outputs in (expected, actual))
    step = grid_step(theirs[theirs < SURE_LOGIT])
    if step is None:
        return None
    rounded = np.clip(np.rint(mine / step) * step, theirs.min(), theirs.max())
    return probabilities_of(rounded, activation), actual


def _quantize_softmax_logits(expected: Probabilities, actual: Probabilities) -> Pair | None:
    """The reference's logits rounded as the file's are, which lie on a grid below the best one."""
    if actual.min() <= 0:
        return None
    below = _below_best(actual)
    step = grid_step(below)
    if step is None:
        return None
    wanted = np.maximum(_below_best(expected), below.min())
    rounded = [_on_grid(mine, theirs, step) for mine, theirs in zip(wanted, below, strict=True)]
    return softmax(np.stack(rounded)), actual


def _below_best(probabilities: Probabilities) -> NDArray[np.float64]:
    tiny = np.finfo(np.float64).tiny
    logits = np.log(np.maximum(probabilities.astype(np.float64), tiny))
    return np.asarray(logits - logits.max(axis=1, keepdims=True))


def _on_grid(
    wanted: NDArray[np.float64], actual: NDArray[np.float64], step: float
) -> NDArray[np.float64]:
    """One image's logits rounded to a grid. Where its zero is was lost with the common constant."""
    offsets = step * np.arange(GRID_OFFSETS) / GRID_OFFSETS
    rounded = np.rint((wanted + offsets[:, None]) / step) * step
    rounded -= rounded.max(axis=1, keepdims=True)
    best = np.square(rounded - actual).sum(axis=1).argmin()
    return np.asarray(rounded[best])


def output_faults(activation: HeadActivation) -> tuple[OutputFault, ...]:
    """The mistakes of networks that should end in an activation."""
    in_float = f"quantize it again with logits and {activation} left in float, as vggexport does"
    return (
        OutputFault(
            f"{activation}-missing",
            f"puts out logits: it has no {activation}",
            f"apply {activation} to its output, or export it again",
            partial(_apply_missing_end, activation),
        ),
        OutputFault(
            f"{activation}-twice",
            f"applies {activation} to probabilities",
            f"take the second {activation} out",
            partial(_apply_end_twice, activation),
            lossy=True,  # of logits' errors it shows those of the likely classes alone
        ),
        OutputFault(
            "classes-permuted",
            "has its classes in another order",
            "use the labels that the file carries: another list, or another sorting of folders, "
            "was taken",
            partial(_order_classes, activation),
            is_fitted=True,
        ),
        OutputFault(
            f"{activation}-quantized",
            f"puts out probabilities in few steps: its {activation} is quantized",
            in_float,
            _quantize_probabilities,
            lossy=True,
        ),
        OutputFault(
            "logits-quantized",
            "has logits in few steps: the last layer is quantized, and clips what calibration "
            "missed",
            in_float,
            partial(_quantize_logits, activation),
            lossy=True,
        ),
    )


def grid_step(values: NDArray[Any]) -> float | None:
    """The step of the grid that all values lie on, from 0 on; None if they lie on none.

    Few values, as of any float computation with few outputs, lie on a grid by chance only if its
    steps are fine: between :data:`FEWEST_STEPS` and :data:`MOST_STEPS` are asked for.
    """
    distinct = np.unique(np.append(values.astype(np.float64).ravel(), 0.0))
    reach = float(np.abs(distinct).max())
    gaps = np.diff(distinct)
    gaps = gaps[gaps > reach / MOST_STEPS]
    if not gaps.size:
        return None
    step = float(gaps.min())
    steps = distinct / step
    on_grid = np.all(np.abs(steps - np.rint(steps)) <= GRID_ERROR)
    return step if on_grid and reach / step >= FEWEST_STEPS else None
