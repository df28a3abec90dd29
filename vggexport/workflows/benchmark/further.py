"""What is measured of a model by itself, in processes beside those that take turns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.metrics.latency import Latency, Measurement
from vggexport.metrics.timing import NANOSECONDS, SETTLE_S, Share, Turn
from vggexport.results.benchmark_figures import CheckedAnswers, Together
from vggexport.results.benchmark_result import BenchmarkResult
from vggexport.system.child_process import ChildProcess
from vggexport.system.progress import Steps
from vggexport.workflows.benchmark import measured_model
from vggexport.workflows.benchmark.entry import Entry
from vggexport.workflows.benchmark.options import BenchmarkOptions

ROUNDS_TOGETHER = 5
"""Of all at once, each with one that runs alone beside it: a drift of the machine hits both."""

LAYER_RUNS = 20
"""Of which a layer's time is the median."""


def start_process(entry: Entry) -> ChildProcess:
    """A process of one model, which imports its runtime."""
    return ChildProcess(
        measured_model.PLACE,
        entry,
        name=entry.source,
        environment=measured_model.environment_variables(),
    )


def check_answers(entries: Sequence[Entry], golden: Path, steps: Steps) -> list[CheckedAnswers]:
    """Whether models give the recorded answers, before anything of them is measured.

    Raises:
        ArtifactError: The golden file cannot be read, or a file is of another network.
        Unavailable: A runtime or execution provider is not to be had.
    """
    found = []
    with steps.step("golden answers"):
        for entry in steps.track(entries, len(entries)):
            with start_process(entry) as process:
                loaded = process.call("load")
                wrong: tuple[str, ...] = process.call("wrong_answers", golden)
            found.append(CheckedAnswers(entry.source, loaded.runtime, wrong))
    return found


def measured_further(
    entry: Entry, result: BenchmarkResult, options: BenchmarkOptions, steps: Steps
) -> BenchmarkResult:
    """The result with what else was asked for."""
    if options.layers:
        with steps.step("layers"), start_process(entry) as process:
            process.call("load", result.artifact)
            result = replace(result, layers=process.call("layers", LAYER_RUNS))
    if options.processes > 1:
        with steps.step(f"{options.processes} processes"):
            result = replace(result, together=_together(entry, result.artifact, options))
    return result


def _together(entry: Entry, known: Artifact, options: BenchmarkOptions) -> Together:
    """Rounds in which first one process runs alone, and then all do."""
    seconds = options.duration_s / ROUNDS_TOGETHER
    runs = -(-options.runs // ROUNDS_TOGETHER)
    share = Share(runs, seconds, SETTLE_S)
    with ExitStack() as entered:
        processes = [entered.enter_context(start_process(entry)) for _ in range(options.processes)]
        for process in processes:
            process.call("load", known)
            process.call("warm_up", options.warm_up + 1)
        pool = entered.enter_context(ThreadPoolExecutor(len(processes)))
        alone, all_turns = [], []
        for _ in range(ROUNDS_TOGETHER):
            alone.append(_turns(pool, processes[:1], share))
            all_turns.append(_turns(pool, processes, share))
    return Together(
        len(processes),
        _images_a_second(all_turns, entry.batch),
        _latency(entry, all_turns),
        _images_a_second(alone, entry.batch),
        _latency(entry, alone),
    )


def _turns(pool: ThreadPoolExecutor, processes: Sequence[ChildProcess], share: Share) -> list[Turn]:
    """One of each, at the same time."""
    return list(pool.map(lambda process: process.call("take_turn", share), processes))


def _images_a_second(rounds: Sequence[Sequence[Turn]], batch: int) -> float:
    """Mean over the rounds of the sum over the processes."""
    speeds = [sum(turn.runs / turn.elapsed_ns for turn in turns) for turns in rounds]
    return batch * NANOSECONDS * sum(speeds) / len(speeds)


def _latency(entry: Entry, rounds: Iterable[Iterable[Turn]]) -> Latency:
    return Measurement(entry.scenario, tuple(map(tuple, rounds))).latency()
