"""Loops on a made-up clock, so that every figure is exact; ratios of made-up timings."""

import math

import numpy as np
import pytest

from vggexport.metrics.timing import (
    MIN_LAUNCHES,
    ROUNDS,
    Measurement,
    Ratio,
    Scenario,
    Share,
    Turn,
    Verdict,
    by_launch,
    early_stopping,
    in_turn,
    judge,
    min_runs,
    paired_ratio,
    shares,
    student_quantile,
    take_turn,
    unpaired_ratio,
)

MS = 10**6


class Machine:
    """A clock that stands still, and a network whose runs move it on."""

    def __init__(self, *run_ms):
        self.now, self.runs, self._run_ms = 5, 0, run_ms

    def clock(self):
        return self.now

    def run(self):
        self.now += round(self._run_ms[self.runs % len(self._run_ms)] * MS)
        self.runs += 1


def single(*turns_ms):
    turns = [tuple(round(ms * MS) for ms in turn) for turn in turns_ms]
    launch = tuple(Turn(turn, len(turn), sum(turn)) for turn in turns)
    return Measurement(Scenario.SINGLE_STREAM, (launch[:1], launch[1:]))


@pytest.mark.parametrize(
    ("share", "runs"),
    [
        (Share(3, 0), 3),
        (Share(1, 0.035), 4),  # 30 ms are not yet 35
        (Share(1, 0.04), 4),
        (Share(6, 0.04), 6),
        (Share(0, 0.04), 4),
        (Share(0, 0.001), 1),
    ],
)
def test_a_turn_ends_when_count_and_time_are_reached(share, runs):
    machine = Machine(10)
    turn = take_turn(machine.run, share, Scenario.SINGLE_STREAM, machine.clock)
    assert (turn.runs, turn.samples_ns) == (runs, (10 * MS,) * runs)
    assert turn.elapsed_ns == runs * 10 * MS
    assert machine.runs == runs


@pytest.mark.parametrize(("settle_s", "uncounted"), [(0.0, 0), (0.001, 1), (0.05, 5), (0.051, 6)])
def test_runs_in_front_of_a_turn_do_not_count(settle_s, uncounted):
    machine = Machine(10)
    turn = take_turn(machine.run, Share(2, 0, settle_s), Scenario.SINGLE_STREAM, machine.clock)
    assert (machine.runs, turn.runs, turn.elapsed_ns) == (uncounted + 2, 2, 20 * MS)


def test_each_run_is_timed_by_itself():
    machine = Machine(99, 1, 2, 3)
    share = Share(3, 0, settle_s=0.05)
    turn = take_turn(machine.run, share, Scenario.SINGLE_STREAM, machine.clock)
    assert turn.samples_ns == (1 * MS, 2 * MS, 3 * MS)


def test_offline_has_one_timing_a_turn():
    machine = Machine(10, 20)
    turn = take_turn(machine.run, Share(4, 0.05), Scenario.OFFLINE, machine.clock)
    assert (turn.samples_ns, turn.runs, turn.elapsed_ns) == ((15 * MS,), 4, 60 * MS)
    measurement = Measurement(Scenario.OFFLINE, ((turn,), (Turn((30 * MS,), 1, 30 * MS),)))
    latency = measurement.latency()
    assert (latency.mean, latency.p50, latency.p99, latency.min) == (18.0, None, None, None)
    assert measurement.early_stopping_ms == {"p90": None, "p95": None, "p99": None}
    assert "no percentiles" in measurement.unsupported[0]


@pytest.mark.parametrize(
    ("runs", "seconds"), [(1, 0.0), (1, 60.0), (7, 1.0), (20, 0.5), (64, 5.0), (999, 0)]
)
def test_shares_add_up_to_what_was_asked_for(runs, seconds):
    planned = list(shares(runs, seconds, settle_s=0.1))
    assert len(planned) == min(max(runs, MIN_LAUNCHES if seconds else 1), ROUNDS)
    assert sum(share.runs for share in planned) == runs
    assert sum(share.seconds for share in planned) == pytest.approx(seconds)
    assert {share.settle_s for share in planned} == {0.1}
    counts = [share.runs for share in planned]
    assert max(counts) - min(counts) <= 1


def test_who_was_last_is_first_in_the_next_round():
    assert [list(in_turn(3, number)) for number in range(3)] == [[0, 1, 2], [2, 1, 0], [0, 1, 2]]


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


@pytest.mark.parametrize(
    ("rounds", "launches", "lengths"),
    [(20, 5, [4] * 5), (7, 5, [1, 1, 2, 1, 2]), (3, 5, [1, 1, 1]), (4, 1, [4])],
)
def test_rounds_are_divided_among_launches(rounds, launches, lengths):
    planned = [Share(number, 0) for number in range(rounds)]
    parts = by_launch(planned, launches)
    assert [len(part) for part in parts] == lengths
    assert [share for part in parts for share in part] == planned


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(4, 2.776445), (5, 2.570582), (19, 2.093024), (10**6, 1.959966)]
)
def test_students_quantile(freedom, quantile):
    assert student_quantile(freedom) == pytest.approx(quantile, rel=4e-4)


def timed(random, *, launches=5, rounds=4, luck=0.0, drift=None, factor=1.0):
    """Launches of about 100 ms, each with its luck; the machine drifts by a factor a round."""
    drift = np.ones(launches * rounds) if drift is None else drift
    states = drift.reshape(launches, rounds) * random.normal(1, luck, (launches, 1))
    return [[list(100 * factor * s * random.normal(1, 0.005, 4)) for s in row] for row in states]


@pytest.mark.parametrize("launches", [1, 5])
def test_a_paired_ratio_does_not_see_what_hits_both(launches):
    random = np.random.default_rng(0)
    shape = {"launches": launches, "rounds": 20 // launches, "drift": np.linspace(1, 2, 20)}
    ratio = paired_ratio(timed(random, **shape), timed(random, **shape, factor=1.1))
    assert ratio.value == pytest.approx(1.1, rel=0.01)
    assert ratio.low < 1.1 < ratio.high
    assert ratio.high - ratio.low < 0.06  # of timings that differ by a factor of two


def test_an_unpaired_ratio_does():
    random, drift = np.random.default_rng(0), np.linspace(1, 2, 20)
    ratio = unpaired_ratio(timed(random, drift=drift), timed(random, drift=drift))
    assert ratio.high - ratio.low > 0.3


@pytest.mark.parametrize("make", [paired_ratio, unpaired_ratio])
@pytest.mark.parametrize(("launches", "luck"), [(5, 0.01), (5, 0.0), (1, 0.0)])
def test_the_interval_of_equals_contains_one(make, launches, luck):
    """As often as it says.

    95 % of 100 is 95; fewer than 88 have a probability of 2e-3. Percentiles of the draws would be
    in 92 % of cases near enough for 5 launches.
    """
    random = np.random.default_rng(1)
    shape = {"launches": launches, "rounds": 20 // launches, "luck": luck}
    trials = 100 if launches > 1 else 30
    ratios = [make(timed(random, **shape), timed(random, **shape)) for _ in range(trials)]
    hits = sum(ratio.low <= 1 <= ratio.high for ratio in ratios)
    assert hits >= 0.88 * trials


def test_one_launch_does_not_know_of_the_luck_of_launches():
    """The reason for several: with one, an interval of equals misses 1 most of the time."""
    random = np.random.default_rng(1)
    shape = {"launches": 1, "rounds": 20, "luck": 0.01}
    ratios = [paired_ratio(timed(random, **shape), timed(random, **shape)) for _ in range(30)]
    assert sum(ratio.low <= 1 <= ratio.high for ratio in ratios) < 15


@pytest.mark.parametrize("launches", [1, 5])
def test_what_is_drawn_is_drawn_whole(launches):
    """Repeating each run of a round adds nothing that is known."""
    random = np.random.default_rng(2)
    one, two = (random.normal(100, 5, (launches, 20)) for _ in range(2))
    few = unpaired_ratio(one[..., None].tolist(), two[..., None].tolist())
    many = unpaired_ratio(*(np.repeat(x[..., None], 10, axis=2).tolist() for x in (one, two)))
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.2)


def test_the_same_seed_gives_the_same_interval():
    random = np.random.default_rng(3)
    one, two = timed(random), timed(random)
    assert paired_ratio(one, two) == paired_ratio(one, two)
    assert paired_ratio(one, two) != paired_ratio(one, two, seed=1)


@pytest.mark.parametrize(
    ("launches", "rounds", "has_interval"),
    [(1, 4, False), (1, 5, True), (4, 1, False), (2, 3, True), (5, 1, True)],
)
@pytest.mark.parametrize("make", [paired_ratio, unpaired_ratio])
def test_too_few_launches_and_rounds_give_no_interval(make, launches, rounds, has_interval):
    one, two = ([[[ms]] * rounds] * launches for ms in (1.0, 2.0))
    ratio = make(one, two)
    assert ratio.value == pytest.approx(2.0)
    assert (ratio.low is not None) is has_interval
    if has_interval:
        assert ratio.to_json()["ratio_ci95"] == pytest.approx([2.0, 2.0])
    else:
        assert ratio.to_json() == {"ratio_p50": ratio.value, "ratio_ci95": None}


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.99, 1.01, Verdict.PASS),
        (1.04, 1.05, Verdict.PASS),
        (1.04, 1.06, Verdict.INCONCLUSIVE),
        (1.05, 1.10, Verdict.INCONCLUSIVE),
        (1.051, 1.10, Verdict.FAIL),
        (None, None, Verdict.INCONCLUSIVE),
    ],
)
def test_the_interval_decides_and_not_the_ratio(low, high, verdict):
    assert judge(Ratio(9.9, low, high), 0.05) is verdict
