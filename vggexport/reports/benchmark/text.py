"""A benchmark as text for a person at a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vggexport.reports.benchmark import columns
from vggexport.reports.benchmark.columns import Sheet
from vggexport.reports.benchmark.results import BenchmarkReport


def benchmark(report: BenchmarkReport) -> RenderableType:
    """Steady state, what it takes to get there, comparisons, the gate, the machine."""
    parts: list[RenderableType] = []
    for sheet in columns.sheets(report):
        parts += [_table(sheet), ""]
    parts += [Text(f"{name}: {text}") for name, text in columns.sustained(report)]
    if report.gate:
        parts += [Text(f"gate: {columns.gate(report.gate)}"), ""]
    parts += [_grid(columns.environment(report))]
    parts += [Text(f"left out: {reason}") for reason in columns.reasons(report)]
    parts += [Text(f"note: {note}") for note in report.notes]
    return Group(*parts)


def _table(sheet: Sheet) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, head in enumerate(sheet.heads):
        table.add_column(head, justify="right" if index else "left", no_wrap=not index)
    for row in sheet.rows:
        table.add_row(*map(Text, row))
    return table


def _grid(lines: dict[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in lines.items():
        grid.add_row(Text(name), Text(value))
    return grid
