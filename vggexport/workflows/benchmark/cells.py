"""Models that take turns, with one number of threads and one batch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

from vggexport.artifact import Artifact
from vggexport.errors import Advice, Unavailable
from vggexport.formats.registry import KERAS
from vggexport.metrics.latency import Measurement
from vggexport.metrics.placement import Placement
from vggexport.metrics.timing import Share, in_turn
from vggexport.results.benchmark_figures import ColdStart, Energy
from vggexport.results.benchmark_result import BenchmarkResult
from vggexport.system.child_process import ChildProcess
from vggexport.system.number_text import counted
from vggexport.system.progress import Steps
from vggexport.workflows.benchmark.entry import Cost, Entry, Loaded, Model
from vggexport.workflows.benchmark.further import measured_further, start_process
from vggexport.workflows.benchmark.measured_model import check_batch
from vggexport.workflows.benchmark.options import BenchmarkOptions
from vggexport.workflows.benchmark.turns import MachineState, TimedTurn, by_minute, plan, take_turns

Figure = TypeVar("Figure", int, float)

DEVICE_WARM_UP_S = 1.0
"""A GPU raises its clocks under load, which takes longer than some runs do."""

_MS_PER_S = 1000
_NS_PER_MS = 10**6


@dataclass(frozen=True, slots=True)
class Launched:
    """What one model did from the start of its process to its end.

    Attributes:
        loaded: The network as it was opened.
        python_ms: From the start of its process to the import of its runtime.
        first_ms: The first run.
        measured_at: Unix time at which the turns of all began, in seconds.
        turns: One a round.
        cost: What it took.
    """

    loaded: Loaded
    python_ms: float
    first_ms: float
    measured_at: float
    turns: Sequence[TimedTurn]
    cost: Cost


def measure_cell(
    entries: Sequence[Entry],
    options: BenchmarkOptions,
    steps: Steps,
    placements: dict[Model, Placement | None],
) -> list[BenchmarkResult]:
    """Launches all several times; each time they take turns, and are asked what it cost them.

    What is known of where artifacts run, by :attr:`Entry.model`, is added to ``placements``.

    Raises:
        ArtifactError: An artifact cannot be read.
        InputError: An artifact does not take a batch that was asked for.
        Unavailable: The provider is not to be had, or does not run it all.
        Unfinished: A process ended before it was done.
    """
    batch, threads = entries[0].batch, counted(entries[0].threads, "thread")
    with steps.step(f"measure batch {batch} on {threads}"):
        for entry in entries:
            if entry.device_provider and entry.model not in placements:
                placements[entry.model] = _probe(entry)
        launches = [
            _launch(entries, options, rounds, number, placements)
            for number, rounds in enumerate(plan(options, len(entries), steps))
        ]
    results = [
        _result(entry, launched, placements[entry.model], options)
        for entry, *launched in zip(entries, *launches, strict=True)
    ]
    pairs = zip(entries, results, strict=True)
    return [measured_further(entry, result, options, steps) for entry, result in pairs]


def _launch(
    entries: Sequence[Entry],
    options: BenchmarkOptions,
    rounds: Iterable[Share],
    number: int,
    placements: dict[Model, Placement | None],
) -> list[Launched]:
    """A fresh process for each, from its start to its end; the number says who is loaded first."""
    with ExitStack() as entered:
        started_ns, processes = [], []
        for entry in entries:
            started_ns.append(time.perf_counter_ns())
            processes.append(entered.enter_context(start_process(entry)))
            if number == 0:  # a start that is told is not to share the machine with others
                processes[-1].wait_until_made()
        for process in processes:  # nor loads with imports
            process.wait_until_made()
        loaded = _load(entries, processes, in_turn(len(entries), number), cold=number == 0)
        _check_batches(loaded, options.batches)
        first_ms: list[float] = [process.call("run_once") for process in processes]
        for entry, process in zip(entries, processes, strict=True):
            seconds = DEVICE_WARM_UP_S if entry.device_provider else 0.0
            process.call("warm_up", options.warm_up, seconds)
        measured_at = [time.time()] * len(entries)
        state = MachineState.now if options.sustained_minutes else MachineState
        turns = take_turns([process.call for process in processes], rounds, state=state)
        costs: list[Cost] = [process.call("cost") for process in processes]
        for entry, process in zip(entries, processes, strict=True):
            if entry.model not in placements:
                placements[entry.model] = process.call("placement")
    python_ms = [
        (one.begun_ns - ns) / _NS_PER_MS for one, ns in zip(loaded, started_ns, strict=True)
    ]
    return list(map(Launched, loaded, python_ms, first_ms, measured_at, turns, costs))


def _probe(entry: Entry) -> Placement | None:
    """Where an artifact runs, from a process of its own, before it is measured for nothing."""
    with start_process(entry) as process:
        process.call("load")
        placement: Placement | None = process.call("placement")
    if placement and not placement.complete and not entry.allow_fallback:
        share = "" if placement.mac_share is None else f", {placement.mac_share:.1%} of the MACs"
        raise Unavailable(
            f"{entry.source}: {entry.device_provider} runs {placement.node_share:.1%} of the nodes"
            f"{share}; {placement.reason}",
            Advice("measure it anyway with {}", "allow_fallback"),
        )
    return placement


def _load(
    entries: Sequence[Entry], processes: Sequence[ChildProcess], order: Iterable[int], *, cold: bool
) -> list[Loaded]:
    """Loads files and then weights, of whose network a file tells more than shapes do."""
    loaded: dict[int, Loaded] = {}
    known: Artifact | None = None
    for index in sorted(order, key=lambda i: entries[i].format == KERAS):
        loaded[index] = processes[index].call("load", known, cold)
        known = known or loaded[index].artifact
    return [loaded[index] for index in range(len(entries))]


def _check_batches(loaded: Iterable[Loaded], batches: Sequence[int]) -> None:
    """Refuses batches to come, too: what was measured by then would be lost."""
    for one in loaded:
        for batch in batches:
            check_batch(one.artifact, batch)


def _result(
    entry: Entry,
    launches: Sequence[Launched],
    placement: Placement | None,
    options: BenchmarkOptions,
) -> BenchmarkResult:
    """All launches of one model together."""
    first, *others = launches
    loaded, costs = first.loaded, [launched.cost for launched in launches]
    turns = tuple(tuple(timed.turn for timed in launched.turns) for launched in launches)
    measurement = Measurement(entry.scenario, turns)
    cold = ColdStart(first.python_ms, loaded.imports_ms, loaded.load_ms, loaded.cached_share)
    return BenchmarkResult(
        loaded.artifact,
        loaded.runtime,
        entry.provider_requested,
        loaded.provider,
        entry.threads,
        entry.batch,
        measurement,
        statistics.median(launched.loaded.load_ms for launched in others or launches),
        statistics.median(launched.first_ms for launched in launches),
        max(cost.peak_rss_bytes for cost in costs),
        _of_known(max, [cost.gpu_memory_bytes for cost in costs]),
        _of_known(statistics.median, [cost.transfer_ms for cost in costs]),
        placement,
        loaded.provider_options,
        loaded.fallback,
        minutes=by_minute(first.turns) if options.sustained_minutes else (),
        measured_at=first.measured_at,
        base_rss_bytes=max(launched.loaded.base_rss_bytes for launched in launches),
        cold_start=cold,
        energy=_energy(launches, measurement, entry.batch),
        is_baseline=entry.is_baseline,
    )


def _energy(launches: Iterable[Launched], measurement: Measurement, batch: int) -> Energy | None:
    """The mean of the turns' powers, each for as long as it took."""
    timed = [one for launched in launches for one in launched.turns if one.watts is not None]
    seconds = sum(one.turn.elapsed_ns for one in timed)
    if not seconds:
        return None
    watts = sum((one.watts or 0.0) * one.turn.elapsed_ns for one in timed) / seconds
    return Energy(watts, watts * measurement.mean_ms / _MS_PER_S / batch)


def _of_known(
    function: Callable[[list[Figure]], Figure], values: Iterable[Figure | None]
) -> Figure | None:
    known = [value for value in values if value is not None]
    return function(known) if known else None
