"""Loops on a made-up clock, so that every figure is exact; ratios of made-up timings."""

import pytest

from vggexport.metrics.latency import Measurement
from vggexport.metrics.latency_ratio import (
    MIN_LAUNCHES,
)
from vggexport.metrics.timing import (
    ROUNDS,
    Scenario,
    Share,
    Turn,
    by_launch,
    in_turn,
    shares,
    take_turn,
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


@pytest.mark.parametrize(
    ("rounds", "launches", "lengths"),
    [(20, 5, [4] * 5), (7, 5, [1, 1, 2, 1, 2]), (3, 5, [1, 1, 1]), (4, 1, [4])],
)
def test_rounds_are_divided_among_launches(rounds, launches, lengths):
    planned = [Share(number, 0) for number in range(rounds)]
    parts = by_launch(planned, launches)
    assert [len(part) for part in parts] == lengths
    assert [share for part in parts for share in part] == planned
