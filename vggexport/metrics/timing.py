"""A measuring loop on an injected clock.

Runs are taken in *turns*: the models of a comparison take one turn each in every *round*, in
the order A B and then B A, so that a machine that grows warm or busy does so for all alike and the
place in a round favours nobody. After some rounds all are *launched* anew: where memory and cores
happen to be given to a process makes it faster or slower for as long as it lives, and the same file
differs from itself by a per cent. What is compared are therefore whole launches: runs of one share
that luck, as runs of one round share the state of the machine, and are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Protocol

from vggexport.metrics.latency_ratio import MIN_LAUNCHES

NANOSECONDS = 10**9


ROUNDS = 20
"""Rounds that a measurement is divided into where it has as many runs: many short ones follow a
drift of the machine closely."""


SETTLE_S = 0.05
"""How long a model runs uncounted after another's turn. Threads of ONNX Runtime spin for 35 ms
after a run (measured, 1.32.0) and would take a core from whoever is next."""


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
    There is 1 run at least; ``settle_s`` is as in :class:`Share`.
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
    """Runs one inference until the share is reached, and times it by a clock of nanoseconds."""
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
