"""The page of a pruning: what budgets give, and what came out."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.axes import Axes

from vggexport.precision import Precision
from vggexport.reports import pruning_words
from vggexport.reports.html import charts
from vggexport.reports.html.page import page
from vggexport.reports.html.themes import SeriesStyle, Theme, series_style
from vggexport.results.prune import Front, PruningReport

FRONT_PRECISIONS = (Precision.FLOAT32, Precision.INT8)


def pruning(report: PruningReport) -> str:
    """The plan as a chart and a table, the front, and the layers of the network that was made."""
    styles = {precision: series_style(n) for n, precision in enumerate(FRONT_PRECISIONS)}
    return page(
        "pruning.html",
        report=report,
        chart=_curve(report),
        front=_front(report.front, styles) if report.front else None,
        styles=styles,
        pruning_words=pruning_words,
    )


def _front(front: Front, styles: Mapping[Precision, SeriesStyle]) -> charts.Chart:
    """Measured dB by measured latency, a line a precision; what is exact has no place."""
    known = [file for file in front.files if math.isfinite(file.logit_sqnr_db)]

    def plot(axes: Axes, theme: Theme) -> None:
        for precision, style in styles.items():
            files = [file for file in known if file.precision is precision]
            decibels = [file.logit_sqnr_db for file in files]
            ratios = [file.latency.ratio_p50 for file in files]
            axes.plot(ratios, decibels, **charts.stroke(theme, style))
            for file in files:
                ends, level = file.latency.ratio_ci95 or (), file.logit_sqnr_db
                axes.plot(ends, [level] * len(ends), color=theme.series[style.colour], linewidth=1)
        axes.set_xlim(left=0)
        axes.set(xlabel="median latency, of the original's in float32")
        axes.set(ylabel="SQNR of the logits in dB")
        axes.grid(color=theme.rule, linewidth=0.8)

    said = f"measured SQNR of the logits of {len(known)} files by their latency"
    return charts.wide(plot, height_px=400, alt=said)


def _curve(report: PruningReport) -> charts.Chart:
    """Planned dB by operations; a ring around what was measured."""
    planned = [(one.macs_share, one.logit_sqnr_db) for one in pruning_words.points(report)]
    made = report.narrowed

    def plot(axes: Axes, theme: Theme) -> None:
        known = [(share, db) for share, db in planned if math.isfinite(db)]
        shares, decibels = zip(*known, strict=True) if known else ((), ())
        axes.plot(shares, decibels, **charts.stroke(theme, series_style(0)))
        if made and report.chosen:
            found = made.metrics.logit_sqnr_db
            charts.ring(axes, theme, report.chosen.macs_share, found)
        axes.set(xlabel="operations, of all", ylabel="SQNR of the logits in dB")
        axes.grid(color=theme.rule, linewidth=0.8)

    said = f"planned SQNR of the logits of {len(planned)} narrower networks by their operations"
    return charts.wide(plot, height_px=400, alt=said)
