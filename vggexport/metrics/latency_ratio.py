"""How one latency compares with another: a ratio, its uncertainty, and a verdict on a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from vggexport.metrics.verdict import Verdict
from vggexport.system.json_values import JsonValue

MIN_LAUNCHES = 5
"""Launches that an interval is drawn from; of fewer, rounds are drawn instead, and what differs
between launches is not in it. With 5, Student's 95 % reach 1.24 standard deviations from the mean:
few enough launches for a file of half a gigabyte, and enough for a gate at 5 %."""


RESAMPLES = 2000
"""Draws of a bootstrap, which tell a standard error to 1 / sqrt(2 * draws), 2 %: Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, section 6.4."""


Rounds = Sequence[Sequence[float]]
"""Timings by round, in any unit."""


Launches = Sequence[Rounds]
"""Timings by launch and round."""


@dataclass(frozen=True, slots=True)
class Ratio(JsonValue):
    """How one model's median compares with another's: below 1 it is faster.

    Attributes:
        value: Median of the one over the median of the other: the geometric mean over launches, or
            over all runs where there are too few launches.
        low: Lower end of the 95 % interval; None where there are too few rounds for one.
        high: Upper end.
    """

    json_keys = "ratio_p50=value ratio_ci95=interval"

    value: float
    low: float | None
    high: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of it."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def paired_ratio(base: Launches, other: Launches, *, seed: int = 0) -> Ratio:
    """The ratio of two that took turns; the same launches, or rounds, are drawn of both.

    Args:
        base: What is divided by.
        other: What is divided; as many launches, of as many rounds.
        seed: Of the bootstrap.
    """
    random = np.random.default_rng(seed)
    if len(base) >= MIN_LAUNCHES:
        logs = _log_medians(other) - _log_medians(base)
        return _ratio(logs.mean(), _mean_of_draws(logs, random), len(logs))
    below, above = _Medians(base), _Medians(other)
    drawn = random.integers(0, below.rounds, (RESAMPLES, below.rounds))
    draws = np.array([above.log_of(rounds) - below.log_of(rounds) for rounds in drawn])
    return _ratio(above.log() - below.log(), draws, below.rounds)


def unpaired_ratio(base: Launches, other: Launches, *, seed: int = 0) -> Ratio:
    """The ratio of two that ran at different times; launches of each are drawn by themselves.

    Args:
        base: What is divided by.
        other: What is divided.
        seed: Of the bootstrap.
    """
    random = np.random.default_rng(seed)
    fewest = min(len(base), len(other))
    if fewest >= MIN_LAUNCHES:
        below, above = _log_medians(base), _log_medians(other)
        drawn = _mean_of_draws(above, random) - _mean_of_draws(below, random)
        return _ratio(above.mean() - below.mean(), drawn, fewest)
    sides = _Medians(other), _Medians(base)
    of_other, of_base = (
        np.array([m.log_of(r) for r in random.integers(0, m.rounds, (RESAMPLES, m.rounds))])
        for m in sides
    )
    value = sides[0].log() - sides[1].log()
    return _ratio(value, of_other - of_base, min(medians.rounds for medians in sides))


def _log_medians(launches: Launches) -> NDArray[np.float64]:
    """Of each launch."""
    return np.array([_Medians([launch]).log() for launch in launches])


def _mean_of_draws(values: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    drawn = random.integers(0, len(values), (RESAMPLES, len(values)))
    means: NDArray[np.float64] = values[drawn].mean(axis=1)
    return means


def _ratio(log_value: float, log_draws: NDArray[np.float64], drawn_from: int) -> Ratio:
    """From logarithms; without an interval where too little was drawn from.

    The interval is Student's with the bootstrap's standard error: percentiles of draws from a few
    are too near (5 cover 92 %). Draws of n vary less than the n do themselves, by (n - 1) / n: T.
    Hesterberg, "What Teachers Should Know about the Bootstrap", The American Statistician 69(4),
    2015, section 3.2.
    """
    value = math.exp(log_value)
    if drawn_from < MIN_LAUNCHES:
        return Ratio(value, None, None)
    error = float(log_draws.std()) * math.sqrt(drawn_from / (drawn_from - 1))
    reach = student_quantile(drawn_from - 1) * error
    return Ratio(value, value * math.exp(-reach), value * math.exp(reach))


def student_quantile(freedom: int) -> float:
    """That of Student's distribution below which are 97.5 %.

    By the expansion of Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5, which
    is right to 0.1 % from 4 degrees of freedom on.
    """
    z = NormalDist().inv_cdf(0.975)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))


class _Medians:
    """Medians of many draws of the same rounds: the timings are sorted once, and weighed.

    Attributes:
        rounds: How many there are to draw from.
    """

    def __init__(self, launches: Launches) -> None:
        rounds = list(chain.from_iterable(launches))
        values = np.array(list(chain.from_iterable(rounds)))
        order = np.argsort(values)
        self.rounds = len(rounds)
        self._values = values[order]
        self._round = np.repeat(np.arange(self.rounds), [len(r) for r in rounds])[order]

    def log(self) -> float:
        """Logarithm of the median of all timings."""
        return math.log(float(np.median(self._values)))

    def log_of(self, drawn: NDArray[np.int64]) -> float:
        """That of the timings of some rounds, of which each may be drawn several times."""
        times = np.bincount(drawn, minlength=self.rounds)
        up_to = np.cumsum(times[self._round])
        middle = np.searchsorted(up_to, [(up_to[-1] + 1) // 2, up_to[-1] // 2 + 1])
        return math.log(self._values[middle].mean())


def judge(ratio: Ratio, max_regression: float) -> Verdict:
    """Whether a ratio is above what is allowed, as far as its interval can tell.

    Args:
        ratio: Of the new to the old.
        max_regression: 0.05 allows 5 % more time.
    """
    bound = 1 + max_regression
    if ratio.low is None or ratio.high is None:
        return Verdict.INCONCLUSIVE
    if ratio.low > bound:
        return Verdict.FAIL
    return Verdict.PASS if ratio.high <= bound else Verdict.INCONCLUSIVE
