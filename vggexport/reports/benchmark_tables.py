"""The tables of a benchmark as data: what every form of the report shows, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from vggexport.metrics.timing import Scenario
from vggexport.metrics.verdict import Verdict
from vggexport.reports import benchmark_columns, paths
from vggexport.reports.sheets import Sheet
from vggexport.results.benchmark import BenchmarkComparison, BenchmarkReport, Gate, GatedResult
from vggexport.results.benchmark_result import BenchmarkResult
from vggexport.system.columns import Columns, Row, cells
from vggexport.system.machine import Machine
from vggexport.system.number_text import counted


def sheets(report: BenchmarkReport) -> Iterator[Sheet]:
    """All tables that the report has something for."""
    name = labels(report)
    if report.answers:
        short = paths.ends(_paths(report))
        said = [(short[a.path], a.runtime) for a in report.answers]
        yield _sheet(
            "Golden answers", ("file", "in"), said, benchmark_columns.ANSWERS, report.answers
        )
    files = [(_name(result, name),) for result in report.results]
    is_offline = report.results[0].measurement.scenario is Scenario.OFFLINE
    shown = benchmark_columns.OFFLINE if is_offline else benchmark_columns.TIMES
    yield _sheet("Latency", ("file",), files, shown, report.results)
    yield _sheet("Cost", ("file",), files, benchmark_columns.COSTS, report.results)
    yield _sheet("Start", ("file",), files, benchmark_columns.START, report.results)
    if any(result.energy for result in report.results):
        yield _sheet("Energy", ("file",), files, benchmark_columns.ENERGY, report.results)
    yield from _asked_for(report, name)
    if _has_device(report):
        yield _sheet("What really ran", ("file",), files, benchmark_columns.DEVICE, report.results)
    if compared := list(_compared(report)):
        pairs = [(_name(c.b, name), _name(c.a, name)) for c in compared]
        yield _sheet(
            "Comparison", ("file", "against"), pairs, benchmark_columns.COMPARISONS, compared
        )
    if gate := report.gate:
        held = [(name[gated.result.model],) for gated in gate.results]
        yield _sheet(
            f"Gate: {gate.verdict}", ("file",), held, benchmark_columns.GATED, gate.results
        )


def _compared(report: BenchmarkReport) -> Iterator[BenchmarkComparison]:
    """The comparisons but for those with a baseline, which are the gate's."""
    gated = [(g.result.model, g.result.threads, g.result.batch) for g in _gated(report)]
    for one in report.comparisons:
        if not (one.a.is_baseline and (one.b.model, one.b.threads, one.b.batch) in gated):
            yield one


def _gated(report: BenchmarkReport) -> tuple[GatedResult, ...]:
    return tuple(report.gate.results) if report.gate else ()


def _asked_for(report: BenchmarkReport, names: Mapping[tuple[str, str], str]) -> Iterator[Sheet]:
    """What is measured with further options alone."""
    together = [(r, r.together) for r in report.results if r.together]
    if together:
        files = [(_name(r, names),) for r, _ in together]
        yield _sheet("Processes at once", ("file",), files, benchmark_columns.TOGETHER, together)
    for result in report.results:
        if result.layers:
            layers = [(layer.name,) for layer in result.layers]
            how = f"batch {result.batch}, {counted(result.threads, 'thread')}"
            title = f"Layers of {_name(result, names)}, {how}"
            yield _sheet(title, ("layer",), layers, benchmark_columns.LAYERS, result.layers)


def _name(result: BenchmarkResult, names: Mapping[tuple[str, str], str]) -> str:
    """A row's, which says where it is what the others are held to."""
    return names[result.model] + (" (baseline)" if result.is_baseline else "")


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
    runs, short = Counter(path for path, _ in models), paths.ends(_paths(report))
    return {
        (path, runtime): f"{short[path]} in {runtime.split()[0]}" if runs[path] > 1 else short[path]
        for path, runtime in models
    }


def _paths(report: BenchmarkReport) -> list[str]:
    found = [result.path for result in report.results]
    return found + [answers.path for answers in report.answers]


def shortened(report: BenchmarkReport, text: str) -> str:
    """A text in which files have the names that they have in the tables."""
    return paths.shortened(text, _paths(report))


def reasons(report: BenchmarkReport) -> Iterator[str]:
    """Why there are gaps in the tables, each once."""
    found = [reason for result in report.results for reason in result.measurement.unsupported]
    if any(comparison.ratio.low is None for comparison in report.comparisons):
        found.append("an interval needs 2 launches or 5 rounds of at least one run each")
    if any(r.cold_start and not r.cold_start.is_cold for r in report.results):
        found.append("a cold load with a ? is not known to be cold")
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
    lines["energy"] = report.power.source or f"not measured: {report.power.reason}"
    if report.comparisons:
        lines["* ratio"] = "geometric mean over launches of the medians' ratio"
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
    yield "load average " + ("unknown" if load is None else f"{load:.2f}")
    yield f"governor {machine.governor or 'unknown'}"
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
    which = f", the fastest of {len(rivals)}" if len(rivals) > 1 else ""
    return f"{name[fastest.model]}{which}: {benchmark_columns.ms(fastest.typical_ms)} ms, {how}"


def gate(report: BenchmarkReport, result: Gate) -> str:
    """The verdict and what was allowed, in a sentence."""
    bound, baseline = 1 + result.max_regression, shortened(report, result.baseline)
    return f"{result.verdict}; up to {bound:.3f} times {baseline} is allowed"


def judged(report: BenchmarkReport) -> dict[str, bool]:
    """What a verdict is about, a clause each, and whether it is a failure.

    Those are what answers wrongly and what the gate does not let pass; where there is none of
    them, all that the gate is held to.
    """
    name = labels(report)
    found = dict.fromkeys((shortened(report, clause) for clause in report.wrong), True)
    bad = report.gate.refused if report.gate else ()
    doubtful = [g for g in _gated(report) if g.verdict is not Verdict.PASS]
    for one in doubtful or _gated(report):
        told = str(one).replace(one.result.path, name[one.result.model])
        found[f"{told}: {one.verdict}"] = one in bad
    return found


def sustained(report: BenchmarkReport) -> Iterator[tuple[str, str]]:
    """Of each sustained result, its name and its minutes."""
    names = labels(report)
    for result in report.results:
        if not result.minutes:
            continue
        medians = ", ".join(benchmark_columns.ms(minute.p50_ms) for minute in result.minutes)
        ratio = result.last_to_first_minute
        end = "" if ratio is None else f"; last to first {ratio:.3f}"
        yield names[result.model], f"p50 by minute {medians} ms{end}"


def _has_device(report: BenchmarkReport) -> bool:
    """Whether anything ran, or was to run, elsewhere than on the CPU's own provider."""
    return any(
        result.provider_requested != "CPUExecutionProvider" or result.transfer_ms is not None
        for result in report.results
    )
