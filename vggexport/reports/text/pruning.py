"""A pruning as text: the plan, and what came out."""

from __future__ import annotations

from rich.console import Group, RenderableType

from vggexport.reports import pruning_words
from vggexport.reports.text import next_steps
from vggexport.reports.text.layout import Grid, Table
from vggexport.results.prune import Front, Narrowed, PruningReport
from vggexport.system.number_text import cost, printable, share


def pruning(report: PruningReport, data: str) -> RenderableType:
    """What budgets give, and the weights that were written."""
    made = report.narrowed
    lines = {"plan": pruning_words.plan(report), **pruning_words.latency(report)}
    if made:
        path = printable(made.path)
        lines |= {"weights": path, **pruning_words.findings(made, report.spec)}
    if report.front:
        lines["front"] = pruning_words.front(report.front)
    lines["cost"] = cost(report.seconds, report.peak_rss_bytes)
    if made:
        lines["next"] = next_steps.quantize(made.path, data)
    layers: list[RenderableType] = ["", _layers(made), ""] if made else []
    front: list[RenderableType] = ["", _front(report.front), ""] if report.front else []
    return Group(_curve(report), *layers, *front, Grid(lines))


def _curve(report: PruningReport) -> Table:
    table = Table(*pruning_words.columns(report))
    for point in pruning_words.points(report):
        cells = pruning_words.cells(report, point)
        table.add_row(*cells, bold=point == report.chosen)
    return table


def _front(front: Front) -> Table:
    table = Table(*pruning_words.FRONT_COLUMNS, names=len(("operations", "precision")))
    for file in front.files:
        table.add_row(*pruning_words.front_cells(file))
    return table


def _layers(made: Narrowed) -> Table:
    table = Table("layer", "width", "error")
    for layer in made.layers:
        table.add_row(layer.name, str(layer.width), share(layer.error))
    return table
