"""Who runs when, for how long, and in which state the machine was meanwhile."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from typing import Any, Self

from vggexport.metrics.timing import SETTLE_S, Share, Turn, by_launch, in_turn, shares
from vggexport.results.benchmark_figures import Minute
from vggexport.system.machine import frequency_mhz, temperature_c
from vggexport.system.power import PowerMeter
from vggexport.system.progress import Steps
from vggexport.workflows.benchmark.options import BenchmarkOptions

SUSTAINED_TURN_S = 1.0
_SECONDS_A_MINUTE = 60
_NS_PER_MS = 10**6


@dataclass(frozen=True, slots=True)
class MachineState:
    """The machine at one moment; None is what the system does not tell, or nobody asked for.

    Attributes:
        frequency_mhz: Mean of the cores'.
        temperature_c: The hottest sensor's, in degrees Celsius.
    """

    frequency_mhz: float | None = None
    temperature_c: float | None = None

    @classmethod
    def now(cls) -> Self:
        """As the system tells."""
        return cls(frequency_mhz(), temperature_c())


@dataclass(frozen=True, slots=True)
class TimedTurn:
    """A turn, in which minute of the measurement its round began, and the machine at its end.

    Its mean power is in watts, None where nothing tells.
    """

    turn: Turn
    minute: int
    state: MachineState
    watts: float | None = None


def plan(
    options: BenchmarkOptions,
    models: int,
    steps: Steps,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Iterator[Share]]:
    """What a turn of each round has to reach, by launch; each of several models settles first."""
    settle_s = SETTLE_S if models > 1 else 0.0
    if options.sustained_minutes:
        yield _until(options.sustained_minutes * _SECONDS_A_MINUTE, settle_s, clock)
        return
    rounds = tuple(shares(options.runs, options.duration_s, settle_s=settle_s))
    tracked = steps.track(rounds, len(rounds))
    for part in by_launch(rounds, options.launches):
        yield islice(tracked, len(part))


def _until(seconds: float, settle_s: float, clock: Callable[[], float]) -> Iterator[Share]:
    """Turns of a second until the time is over, from the first that is taken."""
    begin = clock()
    while clock() - begin < seconds:
        yield Share(1, SUSTAINED_TURN_S, settle_s)


def take_turns(
    calls: Sequence[Callable[..., Any]],
    rounds: Iterable[Share],
    clock: Callable[[], float] = time.monotonic,
    state: Callable[[], MachineState] = MachineState,
) -> list[list[TimedTurn]]:
    """Rounds in which each model has one turn.

    ``calls`` are :meth:`ChildProcess.call` of each; the clock gives seconds.

    Returns:
        The turns of each, one a round.
    """
    turns: list[list[TimedTurn]] = [[] for _ in calls]
    meter = PowerMeter()
    begin = clock()
    for number, share in enumerate(rounds):
        minute = int((clock() - begin) // _SECONDS_A_MINUTE)
        for index in in_turn(len(calls), number):
            turn, watts = meter.over(partial(calls[index], "take_turn", share))
            turns[index].append(TimedTurn(turn, minute, state(), watts))
    return turns


def by_minute(turns: Iterable[TimedTurn]) -> tuple[Minute, ...]:
    """Medians of the runs of each minute, and the machine at its end."""
    minutes = []
    for _, group in groupby(turns, key=lambda timed: timed.minute):
        within = tuple(group)
        samples = [ns / _NS_PER_MS for timed in within for ns in timed.turn.samples_ns]
        state = within[-1].state
        median = statistics.median(samples)
        minutes.append(Minute(median, state.frequency_mhz, state.temperature_c))
    return tuple(minutes)
