"""A pruning as text: the plan, and what came out."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table

from vggexport.network.spec import VGGSpec
from vggexport.reports.text.layout import grid, table_of
from vggexport.results.prune import FLOAT32_BYTES, Narrowed, PlanPoint, PruningReport
from vggexport.system.number_text import MEGA, cost, decibels, printable, share


def pruning(report: PruningReport) -> RenderableType:
    """What budgets give, and the weights that were written."""
    parts: list[RenderableType] = [_curve(report)]
    if report.narrowed:
        parts += ["", _layers(report.narrowed), ""]
        parts.append(grid(_made(report.narrowed, report.spec)))
    lines = {
        "plan": "SQNR of the logits against the network as it is, on images like the "
        f"{report.images} that channels were chosen by",
        "cost": cost(report.seconds, report.peak_rss_bytes),
    }
    parts.append(grid(lines))
    return Group(*parts)


def _curve(report: PruningReport) -> Table:
    table = table_of("operations", "of all", "parameters", "float32", "planned", "widths")
    points = [point for point in report.curve if point != report.chosen]
    points += [report.chosen] if report.chosen else []
    for point in sorted(points, key=lambda one: -one.macs):
        table.add_row(
            f"1/{1 / point.macs_share:.2f}",
            share(point.macs_share),
            f"{point.parameters:,}",
            f"{point.size_bytes / MEGA:.1f} MB",
            decibels(point.logit_sqnr_db),
            _widths(report.spec, point),
            style="bold" if point == report.chosen else "",
        )
    return table


def _widths(spec: VGGSpec, point: PlanPoint) -> str:
    """Block by block."""
    widths = iter(point.widths.values())
    return " / ".join(" ".join(str(next(widths)) for _ in block) for block in spec.blocks)


def _layers(made: Narrowed) -> Table:
    table = table_of("layer", "width", "error")
    for layer in made.layers:
        table.add_row(layer.name, str(layer.width), share(layer.error))
    return table


def _made(made: Narrowed, spec: VGGSpec) -> dict[str, str]:
    metrics, path = made.metrics, printable(made.path)
    return {
        "weights": path,
        "sha256": made.sha256,
        "operations": f"{made.spec.macs / spec.macs:.1%} of the network as it is",
        "size": f"{made.spec.parameters * FLOAT32_BYTES / MEGA:.1f} MB as float32, "
        f"{made.spec.parameters / spec.parameters:.1%}",
        "logits": f"{decibels(metrics.logit_sqnr_db)} on {made.images} images that it was not made "
        f"by (planned {decibels(made.pruning.predicted_logit_sqnr_db)}, promised "
        f"{decibels(made.pruning.promised_logit_sqnr_db)})",
        "agreement": f"best class the same on {share(metrics.top1_agreement)} of those",
        "next": f"vggexport onnx --quantize --weights {path}",
    }
