"""Columns of a benchmark's tables: what each row's cell says, in words."""

from __future__ import annotations

from collections.abc import Callable

from vggexport.metrics.layer_times import LayerTime
from vggexport.results.benchmark import BenchmarkComparison, GatedResult
from vggexport.results.benchmark_figures import CheckedAnswers, ColdStart, Together
from vggexport.results.benchmark_result import BenchmarkResult
from vggexport.system.columns import Columns
from vggexport.system.number_text import GIBI, MEGA, gibibytes

NOTHING = "-"
_MEBI = 2**20
_FINE_MS = 10


def ms(value: float | None) -> str:
    """Milliseconds with two or one decimals."""
    if value is None:
        return NOTHING
    return f"{value:.2f}" if value < _FINE_MS else f"{value:.1f}"


def bytes_text(value: int | None) -> str:
    """Memory in MiB or GiB."""
    if value is None:
        return NOTHING
    return gibibytes(value) if value >= GIBI else f"{value / _MEBI:.0f} MiB"


def interval(low: float | None, high: float | None) -> str:
    """Both ends of a ratio's 95 % interval."""
    return NOTHING if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _cold(start: ColdStart | None) -> str:
    if start is None:
        return NOTHING
    return ms(start.load_ms) + ("" if start.is_cold else "?")


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}"


def _of_ceiling(share: float | None) -> str:
    """A share of it, which what did more than the matrix product beside it has not."""
    return "above it" if share is not None and share > 1 else _percent(share)


def _percentile(name: str) -> Callable[[BenchmarkResult], str]:
    return lambda result: ms(getattr(result.latency, name))


_HOW: Columns[BenchmarkResult] = {
    "threads": lambda r: str(r.threads),
    "batch": lambda r: str(r.batch),
}

_SPEED: Columns[BenchmarkResult] = {
    "images/s": lambda r: f"{r.throughput_per_s:.1f}",
    "GFLOP/s": lambda r: NOTHING if r.gflop_per_s is None else f"{r.gflop_per_s:.1f}",
    "of ceiling": lambda r: _of_ceiling(r.ceiling_share),
}

TIMES: Columns[BenchmarkResult] = {
    **_HOW,
    "runs": lambda r: str(r.measurement.runs),
    **{f"{name} ms": _percentile(name) for name in ("p50", "p90", "p95", "p99")},
    **_SPEED,
}
"""Steady state."""

OFFLINE: Columns[BenchmarkResult] = {
    **_HOW,
    "runs": lambda r: str(r.measurement.runs),
    "mean ms": _percentile("mean"),
    **_SPEED,
}
"""The same where whole turns were timed."""

COSTS: Columns[BenchmarkResult] = {
    **_HOW,
    "load ms": lambda r: ms(r.load_ms),
    "first ms": lambda r: ms(r.first_ms),
    "peak RSS": lambda r: bytes_text(r.peak_rss_bytes),
    "size": lambda r: f"{(r.artifact.size_bytes or 0) / MEGA:.1f} MB",
    "runtime": lambda r: r.runtime,
}
"""What it takes to get there."""

START: Columns[BenchmarkResult] = {
    **_HOW,
    "Python ms": lambda r: ms(r.cold_start.python_ms if r.cold_start else None),
    "imports ms": lambda r: ms(r.cold_start.imports_ms if r.cold_start else None),
    "cold load ms": lambda r: _cold(r.cold_start),
    "RSS before": lambda r: bytes_text(r.base_rss_bytes),
    "RSS added": lambda r: bytes_text(r.model_rss_bytes),
}
"""The first launch, from nothing to a network that can run, and the memory before and behind."""

ENERGY: Columns[BenchmarkResult] = {
    **_HOW,
    "W": lambda r: f"{r.energy.watts:.1f}" if r.energy else NOTHING,
    "J an image": lambda r: f"{r.energy.joules_per_image:.4g}" if r.energy else NOTHING,
}
"""Where the machine tells its power."""

TOGETHER: Columns[tuple[BenchmarkResult, Together]] = {
    "threads": lambda row: str(row[0].threads),
    "batch": lambda row: str(row[0].batch),
    "processes": lambda row: str(row[1].processes),
    "images/s": lambda row: f"{row[1].throughput_per_s:.1f}",
    "of one": lambda row: f"{row[1].alone_throughput_per_s:.1f}",
    "times": lambda row: f"{row[1].throughput_ratio:.2f}",
    "p50 ms": lambda row: ms(row[1].latency_ms.p50),
    "p50 ms of one": lambda row: ms(row[1].alone_latency_ms.p50),
    "p90 ms": lambda row: ms(row[1].latency_ms.p90),
}
"""Several processes at once."""

LAYERS: Columns[LayerTime] = {
    "type": lambda layer: layer.type,
    "ms": lambda layer: f"{layer.ms:.3f}",
    "share": lambda layer: f"{layer.share:.1%}",
}
"""What each layer takes."""

DEVICE: Columns[BenchmarkResult] = {
    "asked for": lambda r: r.provider_requested,
    "ran on": lambda r: r.provider,
    "nodes": lambda r: _percent(r.placement.node_share if r.placement else None),
    "MACs": lambda r: _percent(r.placement.mac_share if r.placement else None),
    "transfer ms": lambda r: ms(r.transfer_ms),
    "GPU memory": lambda r: bytes_text(r.gpu_memory_bytes),
}
"""What really ran."""

COMPARISONS: Columns[BenchmarkComparison] = {
    "threads": lambda c: str(c.b.threads),
    "batch": lambda c: str(c.b.batch),
    "p50 ratio*": lambda c: f"{c.ratio.value:.3f}",
    "95 % interval": lambda c: interval(c.ratio.low, c.ratio.high),
}

ANSWERS: Columns[CheckedAnswers] = {
    "answers": lambda a: "right" if a.passed else f"wrong: {'; '.join(a.violations)}",
    "latency": lambda a: "below" if a.passed else "none is given",
}
"""What was answered to golden images."""

GATED: Columns[GatedResult] = {
    "threads": lambda g: str(g.result.threads),
    "batch": lambda g: str(g.result.batch),
    "times the baseline": lambda g: f"{g.ratio.value:.3f}",
    "95 % interval": lambda g: interval(g.ratio.low, g.ratio.high),
    "verdict": lambda g: g.verdict.value,
}
