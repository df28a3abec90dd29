"""Contestants that take turns, with one number of threads and one batch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Self

from vggexport.environment.machine import frequency_mhz, temperature_c
from vggexport.errors import Unavailable
from vggexport.latency import Measurement, Share, Turn, in_turn, shares
from vggexport.placement import Placement
from vggexport.progress import Steps
from vggexport.remote import Remote
from vggexport.reports.latency import BenchmarkResult, Minute
from vggexport.spec import VGGSpec
from vggexport.workflows.benchmarking import contestant
from vggexport.workflows.benchmarking.contestant import KERAS, Cost, Entry, Loaded
from vggexport.workflows.benchmarking.options import BenchmarkOptions

DEVICE_WARM_UP_S = 1.0
"""A GPU raises its clocks under load, which takes longer than some runs do."""

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
    """A turn, in which minute of the measurement it began, and the machine at its end."""

    turn: Turn
    minute: int
    state: MachineState


def measure_cell(
    entries: Sequence[Entry],
    options: BenchmarkOptions,
    steps: Steps,
    placements: dict[str, Placement | None],
) -> list[BenchmarkResult]:
    """Loads all, lets them take turns, and asks what it cost them.

    Args:
        entries: Who takes part.
        options: How it is measured.
        steps: Who shows how far it is.
        placements: What is known of where artifacts run, by source; added to.

    Raises:
        ArtifactError: An artifact cannot be read.
        Unavailable: The provider is not to be had, or does not run it all.
        Unfinished: A process ended before it was done.
    """
    first = entries[0]
    with ExitStack() as entered:
        with steps.step("load"):
            for entry in entries:
                if entry.device_provider and entry.source not in placements:
                    placements[entry.source] = _probe(entry)
            remotes = [entered.enter_context(_remote(entry)) for entry in entries]
            for remote in remotes:  # loads are not to share the machine with imports
                remote.wait_until_made()
            loaded = _load(entries, remotes)
            first_ms: list[float] = [remote.call("run_once") for remote in remotes]
        with steps.step(f"measure batch {first.batch} on {first.threads} threads"):
            for entry, remote in zip(entries, remotes, strict=True):
                seconds = DEVICE_WARM_UP_S if entry.device_provider else 0.0
                remote.call("warm_up", options.warm_up, seconds)
            measured_at = time.time()
            turns = take_turns(
                [remote.call for remote in remotes],
                plan(options, len(remotes), steps),
                state=MachineState.now if options.sustained_minutes else MachineState,
            )
        costs: list[Cost] = [remote.call("cost") for remote in remotes]
        for entry, remote in zip(entries, remotes, strict=True):
            if entry.source not in placements:
                placements[entry.source] = remote.call("placement")
    sustained = options.sustained_minutes > 0
    return [
        _result(
            *measured,
            placements[measured[0].source],
            sustained=sustained,
            measured_at=measured_at,
        )
        for measured in zip(entries, loaded, first_ms, turns, costs, strict=True)
    ]


def _remote(entry: Entry) -> Remote:
    return Remote(
        contestant.PLACE, entry, name=entry.source, environment=contestant.environment_variables()
    )


def _probe(entry: Entry) -> Placement | None:
    """Where an artifact runs, from a process of its own, before it is measured for nothing.

    Raises:
        Unavailable: Not all of it where it was to run, and no fallback is allowed.
    """
    with _remote(entry) as remote:
        remote.call("load")
        placement: Placement | None = remote.call("placement")
    if placement and not placement.complete and not entry.allow_fallback:
        share = "" if placement.mac_share is None else f", {placement.mac_share:.1%} of the MACs"
        raise Unavailable(
            f"{entry.source}: {entry.device_provider} runs {placement.node_share:.1%} of the nodes"
            f"{share}; {placement.reason}; measure it anyway with --allow-fallback"
        )
    return placement


def _load(entries: Sequence[Entry], remotes: Sequence[Remote]) -> list[Loaded]:
    """Loads files and then weights, of whose network a file tells more than shapes do."""
    loaded: dict[int, Loaded] = {}
    known: VGGSpec | None = None
    for index in sorted(range(len(entries)), key=lambda i: entries[i].format == KERAS):
        loaded[index] = remotes[index].call("load", known)
        known = known or loaded[index].artifact.spec
    return [loaded[index] for index in range(len(entries))]


def plan(
    options: BenchmarkOptions,
    contestants: int,
    steps: Steps,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Share]:
    """What a turn of each round has to reach.

    Args:
        options: How long it is to go on.
        contestants: Who have been running elsewhere when a turn of one begins, if there are others.
        steps: Who shows how far it is.
        clock: Gives seconds.
    """
    unrecorded = int(contestants > 1)
    if not options.sustained_minutes:
        rounds = tuple(shares(options.runs, options.duration_s, unrecorded=unrecorded))
        yield from steps.track(rounds, len(rounds))
        return
    begin = clock()
    while clock() - begin < options.sustained_minutes * _SECONDS_A_MINUTE:
        yield Share(1, SUSTAINED_TURN_S, unrecorded)


def take_turns(
    calls: Sequence[Callable[..., Any]],
    rounds: Iterable[Share],
    clock: Callable[[], float] = time.monotonic,
    state: Callable[[], MachineState] = MachineState,
) -> list[list[TimedTurn]]:
    """Rounds in which each contestant has one turn.

    Args:
        calls: ``Remote.call`` of each.
        rounds: What a turn of each round has to reach.
        clock: Gives seconds.
        state: Of the machine now.

    Returns:
        The turns of each, one a round.
    """
    turns: list[list[TimedTurn]] = [[] for _ in calls]
    begin = clock()
    for number, share in enumerate(rounds):
        for index in in_turn(len(calls), number):
            minute = int((clock() - begin) // _SECONDS_A_MINUTE)
            turn: Turn = calls[index]("take_turn", share)
            turns[index].append(TimedTurn(turn, minute, state()))
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


def _result(
    entry: Entry,
    loaded: Loaded,
    first_ms: float,
    turns: Sequence[TimedTurn],
    cost: Cost,
    placement: Placement | None,
    *,
    sustained: bool,
    measured_at: float,
) -> BenchmarkResult:
    return BenchmarkResult(
        loaded.artifact,
        loaded.runtime,
        entry.provider_requested,
        loaded.provider,
        entry.threads,
        entry.batch,
        Measurement(entry.scenario, tuple(timed.turn for timed in turns)),
        loaded.load_ms,
        first_ms,
        cost.peak_rss_bytes,
        cost.gpu_memory_bytes,
        cost.transfer_ms,
        placement,
        loaded.provider_options,
        loaded.fallback,
        minutes=by_minute(turns) if sustained else (),
        measured_at=measured_at,
    )
