"""The page of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from vggexport.reports import evaluation_words
from vggexport.reports.html import charts
from vggexport.reports.html.page import page
from vggexport.reports.html.themes import SeriesStyle, Theme, ink_on, series_style
from vggexport.reports.paths import ends
from vggexport.reports.verification_words import pictures_line
from vggexport.results.evaluate import EvaluationReport, EvaluationResult
from vggexport.system.number_text import printable

MATRIX_CLASSES = 40
"""Classes of a confusion matrix that can still be read; the commonest mistakes are in a table."""

_PX_A_CLASS = 30
_DIGITS_PT = 8.5
"""11 CSS pixels; four digits fit into a class."""
_MARGIN_PX = 70
_PX_A_CHARACTER = 7
_LONGEST_NAME = 24
"""Characters; the rest of a class's name is cut, which the table beside the matrix has whole."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A network, and how it is told from the others on the page."""

    result: EvaluationResult
    style: SeriesStyle
    findings: dict[str, str]
    matrix: charts.Chart | None


def evaluation(report: EvaluationReport) -> str:
    """Everything that was found out, on one page."""
    entries = [_entry(number, result) for number, result in enumerate(report.results)]
    return page(
        "evaluation.html",
        report=report,
        entries=entries,
        names=list(ends(result.runner.path for result in report.results).values()),
        evaluation_words=evaluation_words,
        pictures=pictures_line(report.picture_line),
    )


def _entry(number: int, result: EvaluationResult) -> _Entry:
    matrix = _matrix(result) if len(result.classes) <= MATRIX_CLASSES else None
    return _Entry(result, series_style(number), evaluation_words.findings(result), matrix)


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _matrix(result: EvaluationResult) -> charts.Chart:
    """Shares of each class's images by answer; classes by their names."""
    shown = np.flatnonzero(result.accuracy.confusion.sum(axis=1))
    counts = result.accuracy.confusion[np.ix_(shown, shown)]
    names = [_cut(printable(score.label)) for score in result.classes]
    totals = result.accuracy.confusion[shown].sum(axis=1, keepdims=True)

    def plot(axes: Axes, theme: Theme) -> None:
        colours = LinearSegmentedColormap.from_list("", [theme.background, theme.series[0]])
        axes.imshow(counts / totals, cmap=colours, vmin=0, vmax=1)
        for row, column in zip(*np.nonzero(counts), strict=True):
            ink = ink_on(colours(counts[row, column] / totals[row, 0])[:3])
            text = str(counts[row, column])
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=_DIGITS_PT)
        axes.set_xticks(range(len(shown)), names, rotation=90)
        axes.set_yticks(range(len(shown)), names)
        axes.set(xlabel="answer", ylabel="class")

    longest = _PX_A_CHARACTER * max(map(len, names))
    side = _MARGIN_PX + longest + _PX_A_CLASS * max(len(shown), 4)
    said = f"confusion matrix of {len(shown)} classes, {result.accuracy.top1:.1%} on its diagonal"
    return charts.draw(plot, width_px=side, height_px=side, alt=said)
