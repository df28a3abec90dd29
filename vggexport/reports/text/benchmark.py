"""A benchmark as text: steady state, what it takes to get there, comparisons, the machine."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from vggexport.reports import benchmark_tables
from vggexport.reports.text.layout import Grid, Table
from vggexport.results.benchmark import BenchmarkReport
from vggexport.system.number_text import printable


def latency(report: BenchmarkReport) -> RenderableType:
    """Every table that there is something for, the gate, the machine, and what to know of it."""
    parts: list[RenderableType] = []
    for sheet in benchmark_tables.sheets(report):
        parts += [Table.of(sheet), ""]
    parts += [
        Text(printable(f"{name}: {text}")) for name, text in benchmark_tables.sustained(report)
    ]
    if report.gate:
        parts += [Text(f"gate: {printable(benchmark_tables.gate(report, report.gate))}"), ""]
    parts += [Grid(benchmark_tables.environment(report))]
    parts += [Text(f"left out: {reason}") for reason in benchmark_tables.reasons(report)]
    told = report.machine.remarks  # when it began, for who would rather wait
    notes = (benchmark_tables.shortened(report, n) for n in report.notes if n not in told)
    parts += [Text(f"note: {printable(note)}") for note in notes]
    return Group(*parts)
