"""The tables of a benchmark as data: what every form of the report shows, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from vggexport.metrics.timing import Scenario
from vggexport.reports.paths import ends
from vggexport.reports.sheets import Sheet
from vggexport.results.benchmark import (
    BenchmarkComparison,
    BenchmarkReport,
    BenchmarkResult,
    Gate,
    GatedResult,
)
from vggexport.system.columns import Columns, Row, cells
from vggexport.system.machine import Machine
from vggexport.system.number_text import GIBI, MEGA, counted, gibibytes

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


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}"


def _percentile(name: str) -> Callable[[BenchmarkResult], str]:
    return lambda result: ms(getattr(result.latency, name))


_HOW: Columns[BenchmarkResult] = {
    "threads": lambda r: str(r.threads),
    "batch": lambda r: str(r.batch),
}

_SPEED: Columns[BenchmarkResult] = {
    "images/s": lambda r: f"{r.throughput_per_s:.1f}",
    "GFLOP/s": lambda r: NOTHING if r.gflop_per_s is None else f"{r.gflop_per_s:.1f}",
    "of ceiling": lambda r: _percent(r.ceiling_share),
}

TIMES: Columns[BenchmarkResult] = {
    **_HOW,
    "runs": lambda r: str(r.measurement.runs),
    **{name: _percentile(name) for name in ("p50", "p90", "p95", "p99")},
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
    "p50 ratio": lambda c: f"{c.ratio.value:.3f}",
    "95 % interval": lambda c: interval(c.ratio.low, c.ratio.high),
}

GATED: Columns[GatedResult] = {
    "threads": lambda g: str(g.result.threads),
    "batch": lambda g: str(g.result.batch),
    "times the baseline": lambda g: f"{g.ratio.value:.3f}",
    "95 % interval": lambda g: interval(g.ratio.low, g.ratio.high),
    "verdict": lambda g: g.verdict.value,
}


def sheets(report: BenchmarkReport) -> Iterator[Sheet]:
    """All tables that the report has something for."""
    name = labels(report)
    files = [(name[result.model],) for result in report.results]
    is_offline = report.results[0].measurement.scenario is Scenario.OFFLINE
    shown = OFFLINE if is_offline else TIMES
    yield _sheet("Latency", ("file",), files, shown, report.results)
    yield _sheet("Cost", ("file",), files, COSTS, report.results)
    if _has_device(report):
        yield _sheet("What really ran", ("file",), files, DEVICE, report.results)
    if report.comparisons:
        pairs = [(name[c.b.model], name[c.a.model]) for c in report.comparisons]
        yield _sheet("Comparison", ("file", "against"), pairs, COMPARISONS, report.comparisons)
    if gate := report.gate:
        held = [(name[gated.result.model],) for gated in gate.results]
        yield _sheet(f"Gate: {gate.verdict}", ("file",), held, GATED, gate.results)


def _sheet(
    title: str,
    first: tuple[str, ...],
    names: Sequence[tuple[str, ...]],
    columns: Columns[Row],
    rows: Sequence[Row],
) -> Sheet:
    heads = (*first, *columns)
    shown = tuple((*n, *cells(columns, row)) for n, row in zip(names, rows, strict=True))
    return Sheet(title, heads, shown, len(first))


def labels(report: BenchmarkReport) -> dict[tuple[str, str], str]:
    """By path and runtime: the least of a path's end, and what ran it where several did."""
    models = dict.fromkeys(result.model for result in report.results)
    runs = Counter(path for path, _ in models)
    short = ends(runs)
    return {
        (path, runtime): f"{short[path]} in {runtime.split()[0]}" if runs[path] > 1 else short[path]
        for path, runtime in models
    }


def reasons(report: BenchmarkReport) -> Iterator[str]:
    """Why there are gaps in the tables, each once."""
    found = [reason for result in report.results for reason in result.measurement.unsupported]
    if any(comparison.ratio.low is None for comparison in report.comparisons):
        found.append("an interval needs 5 launches or 5 rounds, each of a run at least")
    yield from dict.fromkeys(found)


def _quota(machine: Machine) -> str:
    return "" if machine.cpu_quota is None else f", a quota of {machine.cpu_quota:g} processors"


def environment(report: BenchmarkReport) -> dict[str, str]:
    """The machine in some lines."""
    machine = report.machine
    features = [name for name, has in machine.cpu_features.items() if has]
    lines = {
        "machine": f"{machine.cpu_model}, {machine.architecture}, {len(machine.affinity)} of "
        f"{machine.logical_cores} logical cores, {machine.physical_cores} physical"
        f"{_quota(machine)}",
        "CPU has": ", ".join(features) or "none of the instruction sets that matter here",
        "state": ", ".join(_state(report)),
        "versions": ", ".join(f"{k} {v}" for k, v in machine.packages.items()),
    }
    if machine.thread_settings:
        lines["settings"] = " ".join(f"{k}={v}" for k, v in machine.thread_settings.items())
    if report.gpu:
        lines["GPU"] = f"{report.gpu.name}, driver {report.gpu.driver}"
    for ceiling in report.ceilings:
        speeds = [f"{name} {value:.0f} GFLOP/s" for name, value in ceiling.gflop_per_s.items()]
        if ceiling.gbyte_per_s is not None:
            speeds.append(f"memory {ceiling.gbyte_per_s:.0f} GB/s")
        lines[f"ceiling, {counted(ceiling.threads, 'thread')}"] = (
            ", ".join(speeds) or "not measured"
        )
    return lines


def _state(report: BenchmarkReport) -> Iterator[str]:
    machine = report.machine
    load = machine.load_average
    yield "load average " + ("not told" if load is None else f"{load:.2f}")
    yield f"governor {machine.governor or 'not told'}"
    if machine.frequency_mhz is not None:
        yield f"{machine.frequency_mhz:.0f} MHz"
    if machine.temperature_c is not None:
        yield f"{machine.temperature_c:.0f} °C"


def headline(report: BenchmarkReport) -> str:
    """The fastest of what was measured first, in a few words."""
    name, first = labels(report), report.results[0]
    rivals = [r for r in report.results if (r.threads, r.batch) == (first.threads, first.batch)]
    fastest = min(rivals, key=lambda result: result.typical_ms)
    how = f"batch {first.batch}, {counted(first.threads, 'thread')}"
    return f"{name[fastest.model]}: {ms(fastest.typical_ms)} ms, {how}"


def gate(result: Gate) -> str:
    """The verdict and what was allowed, in a sentence."""
    bound = 1 + result.max_regression
    return f"{result.verdict}; up to {bound:.3f} times {result.baseline} is allowed"


def sustained(report: BenchmarkReport) -> Iterator[tuple[str, str]]:
    """Of each sustained result, its name and its minutes."""
    names = labels(report)
    for result in report.results:
        if not result.minutes:
            continue
        medians = ", ".join(ms(minute.p50_ms) for minute in result.minutes)
        ratio = result.last_to_first_minute
        end = "" if ratio is None else f"; last to first {ratio:.3f}"
        yield names[result.model], f"p50 by minute {medians} ms{end}"


def _has_device(report: BenchmarkReport) -> bool:
    """Whether anything ran, or was to run, elsewhere than on the CPU's own provider."""
    return any(
        result.provider_requested != "CPUExecutionProvider" or result.transfer_ms is not None
        for result in report.results
    )
