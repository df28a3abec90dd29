"""The page of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from vggexport.reports import evaluation_words
from vggexport.reports.html import charts
from vggexport.reports.html.page import page
from vggexport.reports.html.themes import SeriesStyle, Theme, ink_on, series_style
from vggexport.reports.paths import ends, shortened
from vggexport.reports.verification_words import pictures_line
from vggexport.results.evaluate import EvaluationReport, EvaluationResult
from vggexport.system.number_text import printable

_DIGITS_PT = 8.5
"""11 CSS pixels."""
_PX_A_DIGIT = 7.5
_PX_A_CLASS = 22
"""At least; with more than two digits it is more."""
_MARGIN_PX = 60
_PX_A_CHARACTER = 8
_LONGEST_NAME = 24
_LONGEST_NARROW = 11
"""Characters, and the same on phones; the rest of a class's name is cut, which the table of classes
has whole."""
_FEWEST_CLASSES = 4


@dataclass(frozen=True, slots=True)
class _Entry:
    """A network, and how it is told from the others on the page."""

    result: EvaluationResult
    style: SeriesStyle
    findings: dict[str, str]
    matrix: charts.Chart
    is_part: bool
    is_part_narrow: bool


def evaluation(report: EvaluationReport) -> str:
    """Everything that was found out, on one page."""
    entries = [_entry(number, result) for number, result in enumerate(report.results)]
    paths = [result.runner.path for result in report.results]
    return page(
        "evaluation.html",
        report=report,
        entries=entries,
        short=partial(shortened, paths=paths),
        names=list(ends(paths).values()),
        evaluation_words=evaluation_words,
        pictures=pictures_line(report.picture_line),
    )


def _entry(number: int, result: EvaluationResult) -> _Entry:
    look, found = series_style(number), evaluation_words.findings(result)
    return _Entry(result, look, found, *_matrices(result))


def _matrices(result: EvaluationResult) -> tuple[charts.Chart, bool, bool]:
    """The matrix, once more for phones, and whether each leaves classes out."""
    classes = len(result.classes)
    whole, shown = _matrix(result, charts.WIDE_PX, _LONGEST_NAME)
    if whole.width_px <= charts.NARROW_PX:
        return whole, shown < classes, shown < classes
    narrow, fewer = _matrix(result, charts.NARROW_PX, _LONGEST_NARROW)
    return replace(whole, narrow=narrow), shown < classes, fewer < classes


def _cut(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _most_confused(result: EvaluationResult, room: int) -> NDArray[np.intp]:
    """The classes of the commonest mistakes, then others, as many as there is room for."""
    counts = result.accuracy.confusion
    present = np.flatnonzero(counts.sum(axis=1))
    wrong = counts[np.ix_(present, present)] * (1 - np.eye(len(present), dtype=int))
    places = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
    pairs = np.stack(np.unravel_index(places, wrong.shape), axis=1)
    order = dict.fromkeys([*pairs.ravel().tolist(), *range(len(present))])
    return present[sorted([*order][:room])]


def _matrix(result: EvaluationResult, width: int, longest: int) -> tuple[charts.Chart, int]:
    """Shares of each class's images by answer, and of how many classes there is room for."""
    labels = {index: _cut(printable(name), longest) for index, name in enumerate(result.labels)}
    margin = _MARGIN_PX + _PX_A_CHARACTER * max(map(len, labels.values()))
    digits = len(str(result.accuracy.confusion.max()))
    cell = max(_PX_A_CLASS, round(_PX_A_DIGIT * (digits + 1)))
    shown = _most_confused(result, (width - margin) // cell)
    names = [labels[index] for index in shown]
    counts = result.accuracy.confusion[np.ix_(shown, shown)]
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

    side = margin + cell * max(len(shown), _FEWEST_CLASSES)
    said = f"confusion matrix of {len(shown)} classes; {result.accuracy.top1:.1%} of all are right"
    return charts.draw(plot, width_px=side, height_px=side, alt=said), len(shown)
