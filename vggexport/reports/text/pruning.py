"""A pruning as text: the plan, and what came out."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table

from vggexport.reports import pruning_words
from vggexport.reports.text.layout import grid, table_of
from vggexport.results.prune import Narrowed, PruningReport
from vggexport.system.number_text import cost, printable, share


def pruning(report: PruningReport) -> RenderableType:
    """What budgets give, and the weights that were written."""
    made = report.narrowed
    lines = {"plan": pruning_words.plan(report)}
    if made:
        path = printable(made.path)
        lines |= {"weights": path, **pruning_words.findings(made, report.spec)}
    lines["cost"] = cost(report.seconds, report.peak_rss_bytes)
    if made:
        lines["next"] = f"vggexport onnx --quantize --weights {path}"
    layers: list[RenderableType] = ["", _layers(made), ""] if made else []
    return Group(_curve(report), *layers, grid(lines))


def _curve(report: PruningReport) -> Table:
    table = table_of(*pruning_words.COLUMNS)
    for point in pruning_words.points(report):
        style = "bold" if point == report.chosen else ""
        table.add_row(*pruning_words.cells(report.spec, point), style=style)
    return table


def _layers(made: Narrowed) -> Table:
    table = table_of("layer", "width", "error")
    for layer in made.layers:
        table.add_row(layer.name, str(layer.width), share(layer.error))
    return table
