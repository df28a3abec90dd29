"""Latency of one model: its percentiles, and which of them the number of runs supports."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated

import numpy as np

from vggexport.metrics.latency_ratio import Launches
from vggexport.metrics.timing import Scenario, Turn
from vggexport.system.json_values import Form, JsonValue

_PER_MS = 10**6


EARLY_STOPPING_CONFIDENCE = 0.99
"""MLPerf's: https://github.com/mlcommons/inference_policies/blob/master/inference_rules.adoc,
"Early Stopping"."""


MIN_OVER = 1
"""Runs above a percentile that MLPerf's rule wants to have seen."""


PERCENTILES = (90, 95, 99)


Milliseconds = Annotated[float, Form(lambda value: round(value, 5))]
"""To 10 ns in JSON, finer than clocks are."""


def min_runs(percentile: int) -> int:
    """The fewest runs that MLPerf's early-stopping rule takes for a percentile.

    Of n runs no more than :data:`MIN_OVER` may be expected above it by chance alone: the fewest n
    with P(Binomial(n, 1 - p) <= that) <= 1 %: 64 for p90, 130 for p95, 662 for p99. The percentile
    is 1 to 99.
    """
    runs = MIN_OVER + 1
    while _at_most(MIN_OVER, runs, 1 - percentile / 100) > 1 - EARLY_STOPPING_CONFIDENCE:
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
    runs exceed or equal as the rule allows for the number of runs. Samples are in any unit; the
    percentile is 1 to 99.

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
    """All turns of one model in one scenario, by launch, one a round."""

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
