"""A difference as text."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vggexport.reports.difference_tables import bundle_table, headline, name, summary, tables
from vggexport.reports.sheets import Sheet
from vggexport.reports.text.layout import grid, table_of
from vggexport.results.diff import DifferenceReport
from vggexport.system.number_text import cost, printable


def difference(report: DifferenceReport) -> RenderableType:
    """What became of each model, and what was added and removed."""
    parts: list[RenderableType] = [Text(headline(report), style="bold")]
    if report.facts:
        parts += ["", _table(bundle_table(report))]
    for model in report.models:
        parts += ["", grid({printable(name(model)): summary(model)})]
        for table in tables(model):
            parts += ["", Text(table.title, style="bold"), _table(table)]
    lines = {f"removed {printable(a.path)}": a.precision.value for a in report.removed}
    lines |= {f"added {printable(a.path)}": a.precision.value for a in report.added}
    lines["cost"] = cost(report.seconds, report.peak_rss_bytes)
    return Group(*parts, "", grid(lines))


def _table(content: Sheet) -> Table:
    table = table_of(*content.heads, folded=content.heads[1:])
    for row in content.rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table
