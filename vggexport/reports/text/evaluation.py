"""An evaluation as text: how often each network is right, and what it takes for what."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from vggexport.metrics.verdict import Verdict
from vggexport.reports.evaluation_words import FIGURES, interval, pixels_line, verdict
from vggexport.reports.paths import conventions, ends
from vggexport.reports.text.layout import Grid, Table
from vggexport.results.evaluate import EvaluationReport, EvaluationResult
from vggexport.system.columns import Columns, cells
from vggexport.system.number_text import cost, points, printable, share

CLASSES = 40
"""Classes of a table in a terminal; the worst of more."""


_FIGURES: Columns[EvaluationResult] = {
    "top-1 (95 %)": lambda r: f"{share(r.accuracy.top1)} ({interval(r.accuracy.top1_interval)})",
} | {name: column for name, column in FIGURES.items() if name not in {"top-1", "95 %"}}
"""A figure and its interval in one column, which no width parts."""


def evaluation(report: EvaluationReport) -> RenderableType:
    """The figures of every network, the classes, the commonest mistakes, and the gate."""
    lines = {"images": f"{report.images} of {printable(report.source)}"}
    if report.picture_line:
        lines["pictures"] = printable(report.picture_line)
    if told := pixels_line(report):
        lines["pixels"] = told
    if report.unreadable:
        lines["unreadable"] = f"{len(report.unreadable)}, left out"
    if report.engine != "local":
        lines["engine"] = report.engine
    lines["cost"] = (
        f"{cost(report.seconds, report.peak_rss_bytes)}, {report.inference_seconds:.1f} s in the "
        "runtimes"
    )
    parts: list[RenderableType] = [_networks(report), Grid(lines)]
    if report.checks:
        parts += ["", _gate(report)]
    parts += ["", _classes(report)]
    names = ends(result.runner.path for result in report.results)
    for result in report.results:
        if result.confusions:
            name = printable(names[result.runner.path])
            parts += ["", Text(name), _confusions(result)]
    return Group(*parts)


def _networks(report: EvaluationReport) -> Table:
    tried = conventions(result.runner.path for result in report.results)
    table = Table("pixels" if tried else "network", "precision", *_FIGURES, paths=True)
    for result in report.results:
        runner = result.runner
        path = tried.get(runner.path, runner.path)
        table.add_row(path, runner.precision.value, *cells(_FIGURES, result))
    return table


def _gate(report: EvaluationReport) -> Table:
    table = Table("gate", "of", "measured (95 %)", "limit", "verdict", names=2, paths=True)
    for check in report.checks:
        shown = points if check.is_drop else share
        table.add_row(
            check.path,
            check.what,
            f"{shown(check.value)} ({interval(check.interval)})",
            f"{check.bound} {shown(check.limit)}",
            verdict(check),
            bold=check.verdict is Verdict.FAIL,
        )
    return table


def _classes(report: EvaluationReport) -> Table:
    """Top-1 by class, a column a network; of many classes those that are worst in the first."""
    table = Table("class", "images", *ends(r.runner.path for r in report.results).values())
    rows = report.by_class
    worst = sorted(range(len(rows)), key=lambda number: rows[number][0].top1)[:CLASSES]
    for row in (rows[number] for number in sorted(worst)):
        shares = [share(score.top1) for score in row]
        table.add_row(row[0].label, str(row[0].images), *shares)
    return table


def _confusions(result: EvaluationResult) -> Table:
    table = Table("commonest mistakes", "taken for", "images", names=2)
    for mistake in result.confusions:
        table.add_row(mistake.label, mistake.answer, str(mistake.images))
    return table
