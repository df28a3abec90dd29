"""Loops on a made-up clock, so that every figure is exact; ratios of made-up timings."""

import math

import numpy as np
import pytest

from vggexport.metrics.latency import Measurement, early_stopping, min_runs
from vggexport.metrics.timing import (
    Scenario,
    Turn,
)

MS = 10**6


def single(*turns_ms):
    turns = [tuple(round(ms * MS) for ms in turn) for turn in turns_ms]
    launch = tuple(Turn(turn, len(turn), sum(turn)) for turn in turns)
    return Measurement(Scenario.SINGLE_STREAM, (launch[:1], launch[1:]))


@pytest.mark.parametrize(("percentile", "runs"), [(90, 64), (95, 130), (99, 662)])
def test_mlperfs_numbers_of_runs(percentile, runs):
    assert min_runs(percentile) == runs

    def tail(trials):  # P(Binomial(trials, 1 - p) <= 1), by its definition
        p = percentile / 100
        return sum(math.comb(trials, k) * (1 - p) ** k * p ** (trials - k) for k in (0, 1))

    assert tail(runs) <= 0.01 < tail(runs - 1)


@pytest.mark.parametrize(
    ("runs", "missing"), [(1, "p90 p95 p99"), (63, "p90 p95 p99"), (64, "p95 p99"), (662, "")]
)
def test_a_percentile_without_enough_runs_is_left_out(runs, missing):
    measurement = single([1.0] * runs)
    latency = measurement.latency().to_json()
    assert [name for name, value in latency.items() if value is None] == missing.split()
    assert [reason.split()[0] for reason in measurement.unsupported] == missing.split()


def test_percentiles_are_those_of_numpy():
    samples = np.random.default_rng(0).gamma(2.0, 10.0, 700).round(5)
    latency = single(samples[:300], samples[300:]).latency()
    expected = np.percentile(samples, [0, 50, 90, 95, 99, 100])
    found = (latency.min, latency.p50, latency.p90, latency.p95, latency.p99, latency.max)
    np.testing.assert_allclose(found, expected)
    assert latency.mean == pytest.approx(samples.mean())


def test_what_belongs_to_which_round():
    measurement = single([1, 2], [3], [4, 5, 6])
    assert measurement.samples_ms == (1, 2, 3, 4, 5, 6)
    assert measurement.rounds == ((2,), (1, 3))
    assert measurement.launches_ms == (((1, 2),), ((3,), (4, 5, 6)))


@pytest.mark.parametrize(
    ("runs", "over"),
    # The most runs above p90 with P(Binomial(n, 0.1) <= t) <= 1 %, by the definition below.
    [(64, 1), (100, 3), (1000, 78)],
)
def test_the_early_stopping_estimate_leaves_as_many_above_as_the_rule_allows(runs, over):
    def at_most(t):
        return sum(math.comb(runs, k) * 0.1**k * 0.9 ** (runs - k) for k in range(t + 1))

    assert at_most(over) <= 0.01 < at_most(over + 1)
    assert early_stopping(list(range(runs, 0, -1)), 90) == runs - over + 1


def test_the_early_stopping_estimate_needs_runs():
    assert early_stopping([1.0] * 63, 90) is None


def test_the_true_percentile_is_rarely_above_the_early_stopping_estimate():
    random = np.random.default_rng(0)
    above = sum(early_stopping(list(random.random(200)), 90) < 0.9 for _ in range(1000))
    assert above <= 20  # 1 % is promised: more than 20 of 1000 has a probability of 1e-3
