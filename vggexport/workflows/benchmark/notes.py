"""What a reader must know of the figures, a sentence each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from vggexport.metrics.placement import CUDA_PROVIDER
from vggexport.metrics.verdict import Verdict
from vggexport.opening.sidecars import WRITE_BOTH, stale_sidecar
from vggexport.precision import Precision
from vggexport.results.benchmark import Gate
from vggexport.results.benchmark_result import BenchmarkResult
from vggexport.system.machine import Machine
from vggexport.workflows.benchmark.gate import Baseline


def notes_on(
    machine: Machine, results: Sequence[BenchmarkResult], gate: Gate | None
) -> tuple[str, ...]:
    """All notes, each once."""
    found = (
        *machine.remarks,
        *_stale(results),
        *_warm_starts(results),
        *_instruction_sets(machine, results),
        *_fallbacks(results),
        *_on_cuda(results),
        *inconclusive(gate),
    )
    return tuple(dict.fromkeys(found))


def busy_baseline(baseline: Baseline | None) -> Iterator[str]:
    """Whether others used the machine when the baseline was measured."""
    if baseline and baseline.busy:
        yield (
            f"the machine was busy when the baseline {baseline.path} was measured, which may hide "
            "a regression: take a new one when it is idle"
        )


def _stale(results: Iterable[BenchmarkResult]) -> Iterator[str]:
    """Of files that are not what the descriptions beside them say."""
    for artifact in (result.artifact for result in results):
        if artifact.sha256 and (stale := stale_sidecar(Path(artifact.path), artifact.sha256)):
            yield f"{stale}: {WRITE_BOTH}"


def _warm_starts(results: Iterable[BenchmarkResult]) -> Iterator[str]:
    """Of loads that were to be cold and are not."""
    for result in results:
        share = result.cold_start.cached_share if result.cold_start else 0.0
        if share:
            yield (
                f"{result.path}: {share:.0%} of the file stayed in memory, which the system did "
                "not let go of: its cold load is not cold"
            )


def _instruction_sets(machine: Machine, results: Sequence[BenchmarkResult]) -> Iterator[str]:
    """Says of int8 on old CPUs where its gain is seen, or how."""
    int8 = [r for r in results if not r.artifact.profile.is_float and "CPU" in r.provider]
    if machine.has_int8 or not int8:
        return
    measured = any(_is_float_of(other, result) for result in int8 for other in results)
    told = "the rows of both tell" if measured else "measure a float32 file beside it"
    yield (
        f"this CPU has neither VNNI nor dot product, so int8 may not be faster than float32: {told}"
    )


def _is_float_of(other: BenchmarkResult, result: BenchmarkResult) -> bool:
    def settings(r: BenchmarkResult) -> tuple[object, ...]:
        return r.artifact.format, r.threads, r.batch, r.provider

    return other.artifact.precision is Precision.FLOAT32 and settings(other) == settings(result)


def _fallbacks(results: Iterable[BenchmarkResult]) -> Iterator[str]:
    for result in results:
        if result.fallback:
            yield (
                f"{result.path} ran on {result.provider} and not on {result.provider_requested}: "
                f"{result.fallback}"
            )
        elif result.placement and not result.placement.complete:
            placement = result.placement
            yield (
                f"{result.path}: {placement.provider} ran {placement.node_share:.1%} of the nodes "
                f"only; {placement.reason}"
            )


def _on_cuda(results: Iterable[BenchmarkResult]) -> Iterator[str]:
    for result in results:
        if result.provider != CUDA_PROVIDER:
            continue
        precision = result.artifact.precision
        if result.provider_options.get("enable_cuda_graph", "0") != "0":
            yield "CUDA repeats a run that was recorded once (a CUDA graph)"
        if precision is Precision.FLOAT32:
            is_on = result.provider_options.get("use_tf32", "1") != "0"
            yield (
                "float32 on CUDA is computed in TF32, with 10-bit significands, if the GPU has it"
                if is_on
                else "float32 on CUDA is computed without TF32"
            )
        elif not precision.profile.is_float:
            yield (
                f"{result.path}: ONNX Runtime has no int8 convolutions for CUDA and computes them "
                "in float between conversions: on CUDA the fast file is a float16 one"
            )


def inconclusive(gate: Gate | None) -> Iterator[str]:
    """Of a gate that can tell neither way."""
    if gate and gate.verdict is Verdict.INCONCLUSIVE:
        yield f"the gate is inconclusive: an interval spans the {gate.max_regression:.1%} allowed"
