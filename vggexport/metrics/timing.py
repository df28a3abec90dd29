"""Latency: a measuring loop on an injected clock, percentiles, and ratios with their uncertainty.

Runs are taken in *turns*: the models of a comparison take one turn each in every *round*, in
the order A B and then B A, so that a machine that grows warm or busy does so for all alike and the
place in a round favours nobody. After some rounds all are *launched* anew: where memory and cores
happen to be given to a process makes it faster or slower for as long as it lives, and the same file
differs from itself by a per cent. What is compared are therefore whole launches: runs of one share
that luck, as runs of one round share the state of the machine, and are not independent.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, pairwise
from statistics import NormalDist
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray

from vggexport.system.json_values import Form, JsonValue

NANOSECONDS = 10**9
_PER_MS = 10**6

ROUNDS = 20
"""Rounds that a measurement is divided into where it has as many runs: many short ones follow a
drift of the machine closely."""

MIN_LAUNCHES = 5
"""Launches that an interval is drawn from; of fewer, rounds are drawn instead, and what differs
between launches is not in it. With 5, Student's 95 % reach 1.24 standard deviations from the mean:
few enough launches for a file of half a gigabyte, and enough for a gate at 5 %."""

SETTLE_S = 0.05
"""How long a model runs uncounted after another's turn. Threads of ONNX Runtime spin for 35 ms
after a run (measured, 1.32.0) and would take a core from whoever is next."""

RESAMPLES = 2000
"""Draws of a bootstrap, which tell a standard error to 1 / sqrt(2 * draws), 2 %: Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, section 6.4."""

EARLY_STOPPING_CONFIDENCE = 0.99
"""MLPerf's: https://github.com/mlcommons/inference_policies/blob/master/inference_rules.adoc,
"Early Stopping"."""

MIN_OVER = 1
"""Runs above a percentile that MLPerf's rule wants to have seen."""

PERCENTILES = (90, 95, 99)

Milliseconds = Annotated[float, Form(lambda value: round(value, 5))]
"""To 10 ns in JSON, finer than clocks are."""


class Clock(Protocol):
    """Nanoseconds from any fixed point, never going back; tests inject one."""

    def __call__(self) -> int:
        """Nanoseconds now."""
        ...


class Scenario(StrEnum):
    """MLPerf's names for how a network is used."""

    SINGLE_STREAM = "single-stream"
    """One query after the other, each timed."""
    OFFLINE = "offline"
    """All queries at hand: one timing a turn, for the throughput."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one turn has to reach.

    Attributes:
        runs: Counted runs, at least; 0 where the seconds alone count.
        seconds: Seconds, at least.
        settle_s: Seconds of runs in front that do not count, the last of which may go on: caches
            are then this model's own again, and threads of the one before are asleep.
    """

    runs: int
    seconds: float
    settle_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """What one model did in one round.

    Attributes:
        samples_ns: Nanoseconds of each run; offline of the mean run alone.
        runs: Counted runs.
        elapsed_ns: From the begin of the first to the end of the last of them.
    """

    samples_ns: tuple[int, ...]
    runs: int
    elapsed_ns: int


def shares(runs: int, seconds: float, *, settle_s: float = 0.0) -> Iterator[Share]:
    """Divides a measurement into turns, which together reach the count *and* the time.

    Where time is asked for, there are rounds enough for an interval, however low the count is.

    Args:
        runs: At least 1.
        seconds: 0 or more.
        settle_s: As in :class:`Share`.
    """
    rounds = min(ROUNDS, max(runs, MIN_LAUNCHES if seconds else 1))
    for number in range(rounds):
        count = runs * (number + 1) // rounds - runs * number // rounds
        yield Share(count, seconds / rounds, settle_s)


def by_launch(rounds: Sequence[Share], launches: int) -> list[Sequence[Share]]:
    """Rounds in so many parts of equal length or nearly so, or in as many as there are."""
    parts = min(launches, len(rounds))
    edges = [len(rounds) * part // parts for part in range(parts + 1)]
    return [rounds[begin:end] for begin, end in pairwise(edges)]


def in_turn(count: int, number: int) -> Sequence[int]:
    """Who is when in a round: forwards in even rounds, backwards in odd ones."""
    return range(count) if number % 2 == 0 else range(count - 1, -1, -1)


def take_turn(run: Callable[[], object], share: Share, scenario: Scenario, clock: Clock) -> Turn:
    """Runs until the share is reached, and times it.

    Args:
        run: One inference, nothing else.
        share: How much.
        scenario: What is timed.
        clock: Of nanoseconds.
    """
    settled = clock() + share.settle_s * NANOSECONDS
    while clock() < settled:
        run()
    if scenario is Scenario.OFFLINE:
        return _offline(run, share, clock)
    samples: list[int] = []
    begin = end = clock()
    while len(samples) < share.runs or end - begin < share.seconds * NANOSECONDS:
        start = clock()
        run()
        end = clock()
        samples.append(end - start)
    return Turn(tuple(samples), len(samples), end - begin)


def _offline(run: Callable[[], object], share: Share, clock: Clock) -> Turn:
    runs = 0
    begin = end = clock()
    while runs < share.runs or end - begin < share.seconds * NANOSECONDS:
        run()
        end = clock()
        runs += 1
    return Turn((round((end - begin) / runs),), runs, end - begin)


def min_runs(percentile: int, over: int = MIN_OVER) -> int:
    """The fewest runs that MLPerf's early-stopping rule takes for a percentile.

    Of n runs no more than ``over`` may be expected above it by chance alone: the fewest n with
    P(Binomial(n, 1 - p) <= over) <= 1 %. For one run: 64 for p90, 130 for p95, 662 for p99.

    Args:
        percentile: 1 to 99.
        over: Runs above it.
    """
    runs = over + 1
    while _at_most(over, runs, 1 - percentile / 100) > 1 - EARLY_STOPPING_CONFIDENCE:
        runs += 1
    return runs


def _at_most(successes: int, trials: int, probability: float) -> float:
    """P(Binomial(trials, probability) <= successes)."""
    return sum(
        math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(k + 1)
            - math.lgamma(trials - k + 1)
            + k * math.log(probability)
            + (trials - k) * math.log1p(-probability)
        )
        for k in range(successes + 1)
    )


def early_stopping(samples: Sequence[float], percentile: int) -> float | None:
    """MLPerf's estimate of a percentile, which the true one exceeds with 1 % probability only.

    LoadGen reports it beside the plain one (loadgen/early_stopping.cc): the sample that as many
    runs exceed or equal as the rule allows for the number of runs.

    Args:
        samples: In any unit.
        percentile: 1 to 99.

    Returns:
        In the samples' unit; None for fewer than :func:`min_runs`.
    """
    if len(samples) < min_runs(percentile):
        return None
    tail, low, high = 1 - percentile / 100, MIN_OVER, len(samples) - 1
    while low < high:  # the largest count that the rule allows; more are more probable
        middle = (low + high + 1) // 2
        if _at_most(middle, len(samples), tail) <= 1 - EARLY_STOPPING_CONFIDENCE:
            low = middle
        else:
            high = middle - 1
    return sorted(samples)[len(samples) - low]


Rounds = Sequence[Sequence[float]]
"""Timings by round, in any unit."""

Launches = Sequence[Rounds]
"""Timings by launch and round."""


@dataclass(frozen=True, slots=True)
class Latency(JsonValue):
    """Milliseconds of one run. What the number of runs does not support is None."""

    min: Milliseconds | None
    mean: Milliseconds
    p50: Milliseconds | None
    p90: Milliseconds | None
    p95: Milliseconds | None
    p99: Milliseconds | None
    max: Milliseconds | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """All turns of one model, in order.

    Attributes:
        scenario: What was timed.
        launches: Turns by launch, one a round.
    """

    scenario: Scenario
    launches: tuple[tuple[Turn, ...], ...]

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Of all launches."""
        return tuple(chain.from_iterable(self.launches))

    @property
    def runs(self) -> int:
        """Counted runs."""
        return sum(turn.runs for turn in self.turns)

    @property
    def samples_ms(self) -> tuple[Milliseconds, ...]:
        """Every timing, in order; offline the mean of each turn."""
        return tuple(ns / _PER_MS for turn in self.turns for ns in turn.samples_ns)

    @property
    def rounds(self) -> tuple[tuple[int, ...], ...]:
        """How many of the timings belong to each round of each launch."""
        return tuple(tuple(len(t.samples_ns) for t in launch) for launch in self.launches)

    @property
    def launches_ms(self) -> Launches:
        """The timings by launch and round."""
        return tuple(
            tuple(tuple(ns / _PER_MS for ns in turn.samples_ns) for turn in launch)
            for launch in self.launches
        )

    @property
    def mean_ms(self) -> float:
        """Milliseconds a run, of the runs alone; offline of the whole turns."""
        if self.scenario is Scenario.OFFLINE:
            return sum(turn.elapsed_ns for turn in self.turns) / self.runs / _PER_MS
        return statistics.fmean(self.samples_ms)

    def latency(self) -> Latency:
        """Percentiles, as far as there are runs for them; offline there is only the mean."""
        if self.scenario is Scenario.OFFLINE:
            return Latency(None, self.mean_ms, None, None, None, None, None)
        samples = self.samples_ms
        p90, p95, p99 = (
            float(np.percentile(samples, p)) if self.runs >= min_runs(p) else None
            for p in PERCENTILES
        )
        median = statistics.median(samples)
        return Latency(min(samples), self.mean_ms, median, p90, p95, p99, max(samples))

    @property
    def early_stopping_ms(self) -> dict[str, float | None]:
        """MLPerf's conservative estimates by the percentiles' names."""
        if self.scenario is Scenario.OFFLINE:
            return {f"p{p}": None for p in PERCENTILES}
        return {f"p{p}": early_stopping(self.samples_ms, p) for p in PERCENTILES}

    @property
    def unsupported(self) -> tuple[str, ...]:
        """Why percentiles are missing, a clause each."""
        if self.scenario is Scenario.OFFLINE:
            return ("offline times whole turns, so there are no percentiles",)
        missing = [p for p in PERCENTILES if self.runs < min_runs(p)]
        return tuple(f"p{p} needs {min_runs(p)} runs" for p in missing)


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


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "pass"  # noqa: S105  no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


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
