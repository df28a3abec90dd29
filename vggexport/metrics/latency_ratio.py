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
"""Launches that are made where nothing else is said, and the fewest rounds that an interval is
drawn from where there is one launch alone. With 5, Student's 95 % reach 1.24 standard deviations
from the mean: few enough launches for a file of half a gigabyte, and enough for a gate at 5 %."""


SEVERAL = 2
"""Launches of which it is known how they differ; of one, rounds are drawn instead, and what differs
between launches is not in the interval."""


RESAMPLES = 2000
"""Draws of a bootstrap, which tell a standard error to 1 / sqrt(2 * draws), 2 %: Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, section 6.4."""


AT_ONCE = 20_000
"""Timings of draws that are in memory together."""


Rounds = Sequence[Sequence[float]]
"""Timings by round, in any unit."""


Launches = Sequence[Rounds]
"""Timings by launch and round."""


@dataclass(frozen=True, slots=True)
class Ratio(JsonValue):
    """How one model's median compares with another's: below 1 it is faster.

    Attributes:
        value: Median of the one over the median of the other: the geometric mean over launches, or
            of all runs of the only launch.
        low: Lower end of the 95 % interval; None where one launch has too few rounds for one.
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
    """``other`` over ``base``, which took turns: of the same launches, or rounds of the only one.

    Both have as many launches, of as many rounds; ``seed`` is for the bootstrap of rounds.
    """
    if len(base) >= SEVERAL:
        logs = _log_medians(other) - _log_medians(base)
        return _ratio(logs.mean(), _variance_of_mean(logs), len(logs))
    below, above = _Medians(base), _Medians(other)
    random = np.random.default_rng(seed)
    drawn = random.integers(0, below.rounds, (RESAMPLES, below.rounds))
    draws = above.logs_of(drawn) - below.logs_of(drawn)
    return _of_rounds(above.log() - below.log(), draws, below.rounds)


def unpaired_ratio(base: Launches, other: Launches, *, seed: int = 0) -> Ratio:
    """``other`` over ``base``, run at different times; the launches of each vary by themselves."""
    fewest = min(len(base), len(other))
    if fewest >= SEVERAL:
        below, above = _log_medians(base), _log_medians(other)
        variance = _variance_of_mean(above) + _variance_of_mean(below)
        return _ratio(above.mean() - below.mean(), variance, fewest)
    random = np.random.default_rng(seed)
    sides = _Medians(other), _Medians(base)
    of_other, of_base = (
        m.logs_of(random.integers(0, m.rounds, (RESAMPLES, m.rounds))) for m in sides
    )
    value = sides[0].log() - sides[1].log()
    return _of_rounds(value, of_other - of_base, min(medians.rounds for medians in sides))


def _log_medians(launches: Launches) -> NDArray[np.float64]:
    """Of each launch."""
    return np.array([_Medians([launch]).log() for launch in launches])


def _variance_of_mean(values: NDArray[np.float64]) -> float:
    return float(values.var(ddof=1)) / len(values)


def _of_rounds(log_value: float, log_draws: NDArray[np.float64], drawn_from: int) -> Ratio:
    """From a bootstrap's logarithms; without an interval where too few rounds were drawn from.

    Draws of n vary less than the n do themselves, by (n - 1) / n: T. Hesterberg, "What Teachers
    Should Know about the Bootstrap", The American Statistician 69(4), 2015, section 3.2.
    """
    if drawn_from < MIN_LAUNCHES:
        return Ratio(math.exp(log_value), None, None)
    variance = float(log_draws.var()) * drawn_from / (drawn_from - 1)
    return _ratio(log_value, variance, drawn_from)


def _ratio(log_value: float, variance: float, measured: int) -> Ratio:
    """From logarithms, with Student's interval, which so few measurements need.

    Of two that vary by themselves it has the degrees of freedom of the one with fewer launches:
    never narrower than Welch's.
    """
    value, reach = math.exp(log_value), student_quantile(measured - 1) * math.sqrt(variance)
    return Ratio(value, value * math.exp(-reach), value * math.exp(reach))


FEW_QUANTILES = {1: 12.7062, 2: 4.3027, 3: 3.1824}
"""Of Student's distribution by degrees of freedom: Abramowitz and Stegun, table 26.10."""


def student_quantile(freedom: int) -> float:
    """That of Student's distribution below which are 97.5 %.

    By the expansion of Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5, which
    is right to 0.1 % from 4 degrees of freedom on.
    """
    if freedom in FEW_QUANTILES:
        return FEW_QUANTILES[freedom]
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
    """Medians of many draws of the same rounds: the timings are sorted once, and weighed."""

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

    def logs_of(self, drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        """Those of the timings of some rounds, a row a draw; each may be drawn several times."""
        count = math.ceil(len(drawn) * len(self._values) / AT_ONCE)
        parts = np.array_split(drawn, min(count, len(drawn)))
        return np.concatenate([self._logs_of(part) for part in parts])

    def _logs_of(self, drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        times = np.zeros((len(drawn), self.rounds), np.int64)
        np.add.at(times, (np.arange(len(drawn))[:, None], drawn), 1)
        up_to = np.cumsum(times[:, self._round], axis=1)
        halves = np.stack([(up_to[:, -1] + 1) // 2, up_to[:, -1] // 2 + 1], axis=1)
        middle = [np.searchsorted(*pair) for pair in zip(up_to, halves, strict=True)]
        logs: NDArray[np.float64] = np.log(self._values[np.array(middle)].mean(axis=1))
        return logs


def judge(ratio: Ratio, max_regression: float) -> Verdict:
    """Whether a ratio of new to old is above what is allowed, as far as its interval can tell.

    A ``max_regression`` of 0.05 allows 5 % more time.
    """
    bound = 1 + max_regression
    if ratio.low is None or ratio.high is None:
        return Verdict.INCONCLUSIVE
    if ratio.low > bound:
        return Verdict.FAIL
    return Verdict.PASS if ratio.high <= bound else Verdict.INCONCLUSIVE
