"""The benchmark from options to a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

from vggexport.errors import Advice, CheckFailed, InputError
from vggexport.metrics.latency_ratio import paired_ratio
from vggexport.metrics.placement import CPU_PROVIDER, CUDA_PROVIDER, Placement
from vggexport.results.benchmark import BenchmarkComparison, BenchmarkReport, Gate, GatedResult
from vggexport.results.benchmark_figures import Ceiling, CheckedAnswers
from vggexport.results.benchmark_result import BenchmarkResult
from vggexport.system.digests import source_sha256
from vggexport.system.gpu import Gpu, read_gpu
from vggexport.system.machine import Machine, read_machine
from vggexport.system.options import takes
from vggexport.system.power import PowerMeter
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.benchmark import notes
from vggexport.workflows.benchmark.cells import measure_cell
from vggexport.workflows.benchmark.entry import Entry, Model
from vggexport.workflows.benchmark.further import check_answers
from vggexport.workflows.benchmark.gate import Baseline, read_baseline
from vggexport.workflows.benchmark.options import BenchmarkOptions
from vggexport.workflows.benchmark.peak_throughput import measure_peak_throughput

MORE_CERTAIN = (
    Advice("measure longer, with {} or {}", "runs", "duration"),
    Advice("make it a failure with {}", "strict"),
)


@takes(BenchmarkOptions)
def benchmark(options: BenchmarkOptions, progress: Progress | None = None) -> BenchmarkReport:
    """Measures all artifacts with each number of threads and each batch.

    Args:
        options: What and how.
        progress: Who shows how far it is.

    Raises:
        ArtifactError: An artifact cannot be read.
        CheckFailed: None, or not the baseline, gives the golden answers.
        InputError: The baseline cannot be compared with.
        Unavailable: A runtime or an execution provider is not to be had, or ran a part only.
        Unfinished: A process ended before it was done.
    """
    steps = Steps(progress or Progress())
    machine, cells = read_machine(), options.cells()
    gpu = read_gpu() if options.execution_provider == CUDA_PROVIDER else None
    stored = _stored_baseline(options, machine, gpu)
    for note in (*machine.remarks, *notes.busy_baseline(stored)):
        steps.progress.note(note)
    answers = _checked(options, cells, steps)
    placements: dict[Model, Placement | None] = {}
    right = _answering_rightly(cells, answers)
    measured = [r for cell in right for r in measure_cell(cell, options, steps, placements)]
    with steps.step("ceiling"):
        results, ceilings = _under_ceilings(_with_digests(measured))
    comparisons = _compare(results)
    gate, ungated = _gate(options, results, comparisons, stored)
    for note in notes.inconclusive(gate):
        steps.progress.note(note, *MORE_CERTAIN)
    return BenchmarkReport(
        machine,
        gpu,
        results,
        comparisons,
        ceilings,
        gate,
        (*ungated, *notes.busy_baseline(stored), *notes.notes_on(machine, results, gate)),
        steps.seconds,
        PowerMeter().power,
        str(options.golden) if options.golden else None,
        answers,
    )


def _checked(
    options: BenchmarkOptions, cells: Sequence[Sequence[Entry]], steps: Steps
) -> tuple[CheckedAnswers, ...]:
    """What all answer to the golden images, where there are some."""
    if options.golden is None:
        return ()
    answers = check_answers(cells[0], options.golden, steps)
    wrong = [str(a) for a in answers if not a.passed]
    baseline = any(e.is_baseline and not a.passed for e, a in zip(cells[0], answers, strict=True))
    if wrong and (baseline or len(wrong) == len(answers)):
        what = "there is nothing to compare with" if baseline else "no latency is given"
        raise CheckFailed(f"{'; '.join(wrong)}: {what}")
    return tuple(answers)


def _answering_rightly(
    cells: Sequence[Sequence[Entry]], answers: Sequence[CheckedAnswers]
) -> list[Sequence[Entry]]:
    """Those that may be measured."""
    if not answers:
        return list(cells)
    return [[e for e, a in zip(cell, answers, strict=True) if a.passed] for cell in cells]


def _stored_baseline(
    options: BenchmarkOptions, machine: Machine, gpu: Gpu | None
) -> Baseline | None:
    """The former run, found to be of this machine; None where there is none."""
    if options.baseline is None or options.baseline_artifact:
        return None
    baseline = read_baseline(options.baseline)
    if options.strict and baseline.busy:
        raise InputError(*notes.busy_baseline(baseline))
    baseline.check_machine(machine, gpu)
    baseline.check_counts("threads", options.threads_or_cores)
    baseline.check_counts("batch", options.batches)
    return baseline


def _with_digests(results: Sequence[BenchmarkResult]) -> list[BenchmarkResult]:
    """The results with their files' digests, taken when no load can gain by what was read."""
    digests = {path: source_sha256(path) for path in {r.artifact.path for r in results}}
    return [
        replace(r, artifact=replace(r.artifact, sha256=digests[r.artifact.path])) for r in results
    ]


def _under_ceilings(
    results: Iterable[BenchmarkResult],
) -> tuple[tuple[BenchmarkResult, ...], tuple[Ceiling, ...]]:
    """The results with what the machine can do where they ran.

    More threads can do what fewer did: a product that others of the machine disturbed is no limit.
    """
    placed = [(_device(result), result.threads, result) for result in results]
    ceilings = {key: measure_peak_throughput(*key) for key in sorted({p[:2] for p in placed})}
    for (device, fewer), (other, threads) in pairwise(ceilings):
        if device == other:
            lower = ceilings[device, fewer]
            ceilings[device, threads] = ceilings[device, threads].raised_to(lower)
    found = [replace(r, ceiling=ceilings[device, threads]) for device, threads, r in placed]
    return tuple(found), tuple(ceilings.values())


def _device(result: BenchmarkResult) -> str:
    return CUDA_PROVIDER if result.provider == CUDA_PROVIDER else CPU_PROVIDER


def _compare(results: Sequence[BenchmarkResult]) -> tuple[BenchmarkComparison, ...]:
    """Every further artifact with the first of those that it took turns with."""
    comparisons = []
    for _, group in groupby(results, key=lambda result: (result.threads, result.batch)):
        first, *others = group
        for other in others:
            ratio = paired_ratio(first.measurement.launches_ms, other.measurement.launches_ms)
            comparisons.append(BenchmarkComparison(first, other, ratio))
    return tuple(comparisons)


def _gate(
    options: BenchmarkOptions,
    results: Sequence[BenchmarkResult],
    comparisons: Sequence[BenchmarkComparison],
    stored: Baseline | None,
) -> tuple[Gate | None, tuple[str, ...]]:
    """The verdict, where there is a baseline, and notes on what has none."""
    if options.baseline is None:
        return None, ()
    missing: tuple[str, ...] = ()
    if stored:
        gated, missing = stored.gate(results, options.max_regression)
    else:
        gated = tuple(
            GatedResult.judged(c.b, c.ratio, options.max_regression, paired=True)
            for c in comparisons
        )
    gate = Gate(str(options.baseline), options.max_regression, options.strict, gated)
    return gate, tuple(f"{name} is not in the baseline and was not gated" for name in missing)
