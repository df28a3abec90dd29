"""The page of a pruning: what budgets give, and what came out."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from vggexport.reports import pruning_words
from vggexport.reports.html import charts
from vggexport.reports.html.page import page
from vggexport.reports.html.themes import Theme, series_style
from vggexport.results.prune import PruningReport


def pruning(report: PruningReport) -> str:
    """The plan as a chart and a table, and the layers of the network that was made."""
    return page("pruning.html", report=report, chart=_curve(report), pruning_words=pruning_words)


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
    return charts.draw(plot, width_px=charts.WIDE_PX, height_px=400, alt=said)
