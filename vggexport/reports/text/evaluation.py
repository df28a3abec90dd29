"""An evaluation as text: how often each network is right, and what it takes for what."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vggexport.metrics.verdict import Verdict
from vggexport.reports.evaluation_words import FIGURES, interval, verdict
from vggexport.reports.text.layout import grid, table_of
from vggexport.results.evaluate import EvaluationReport, EvaluationResult
from vggexport.system.columns import cells
from vggexport.system.number_text import cost, printable, share

CLASSES = 40
"""Classes of a table in a terminal; the worst of more."""


def evaluation(report: EvaluationReport) -> RenderableType:
    """The figures of every network, the classes, the commonest mistakes, and the gate."""
    lines = {"images": f"{report.images} of {printable(report.source)}"}
    if report.picture_line:
        lines["pictures"] = printable(report.picture_line)
    if report.unreadable:
        lines["unreadable"] = f"{len(report.unreadable)}, left out"
    if report.engine != "local":
        lines["engine"] = report.engine
    lines["cost"] = (
        f"{cost(report.seconds, report.peak_rss_bytes)}, {report.inference_seconds:.1f} s in the "
        "runtimes"
    )
    parts: list[RenderableType] = [_networks(report), grid(lines)]
    if report.checks:
        parts += ["", _gate(report)]
    parts += ["", _classes(report)]
    for result in report.results:
        if result.confusions:
            parts += ["", _confusions(result)]
    return Group(*parts)


def _networks(report: EvaluationReport) -> Table:
    table = table_of("network", "precision", *FIGURES, folded={"network"})
    for result in report.results:
        path = Text(printable(result.runner.path))
        table.add_row(path, result.runner.precision.value, *cells(FIGURES, result))
    return table


def _gate(report: EvaluationReport) -> Table:
    table = table_of("gate", "of", "measured", "95 %", "limit", "verdict", folded={"gate"})
    for check in report.checks:
        table.add_row(
            Text(printable(check.path)),
            check.what,
            share(check.value),
            interval(check.interval),
            f"{check.bound} {share(check.limit)}",
            verdict(check),
            style="bold" if check.verdict is Verdict.FAIL else "",
        )
    return table


def _classes(report: EvaluationReport) -> Table:
    """Top-1 by class, a column a network; of many classes those that are worst in the first."""
    columns = ("images", *(printable(r.runner.path) for r in report.results))
    table = table_of("class", *columns, folded=columns)
    rows = report.by_class
    worst = sorted(range(len(rows)), key=lambda number: rows[number][0].top1)[:CLASSES]
    for row in (rows[number] for number in sorted(worst)):
        shares = [share(score.top1) for score in row]
        table.add_row(Text(printable(row[0].label)), str(row[0].images), *shares)
    return table


def _confusions(result: EvaluationResult) -> Table:
    table = table_of("commonest mistakes", "taken for", "images")
    table.columns[1].justify = "left"
    table.title, table.title_justify = Text(printable(result.runner.path)), "left"
    for mistake in result.confusions:
        label, answer = Text(printable(mistake.label)), Text(printable(mistake.answer))
        table.add_row(label, answer, str(mistake.images))
    return table
