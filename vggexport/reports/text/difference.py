"""A difference as text."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from vggexport.reports.difference_tables import bundle_table, headline, name, summary, tables
from vggexport.reports.sheets import Sheet
from vggexport.reports.text.layout import Grid, Table
from vggexport.results.diff import DifferenceReport
from vggexport.system.number_text import cost, printable

_NAMES = {"Bundle": 3, "Facts": 3, "Reports": 2}
"""Columns of words, by the title of a table where they are more than one."""


def difference(report: DifferenceReport) -> RenderableType:
    """What became of each model, and what was added and removed."""
    parts: list[RenderableType] = [Text(headline(report), style="bold")]
    if report.facts:
        parts += ["", _table(bundle_table(report))]
    for model in report.models:
        parts += ["", Grid({printable(name(model)): summary(model)})]
        for table in tables(model):
            parts += ["", Text(table.title, style="bold"), _table(table)]
    lines = {f"removed {printable(a.path)}": a.precision.value for a in report.removed}
    lines |= {f"added {printable(a.path)}": a.precision.value for a in report.added}
    lines["cost"] = cost(report.seconds, report.peak_rss_bytes)
    return Group(*parts, "", Grid(lines))


def _table(content: Sheet) -> Table:
    return Table.of(content, _NAMES.get(content.title))
