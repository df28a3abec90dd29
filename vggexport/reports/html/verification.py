"""The page of a verification."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vggexport.reports import verification_words
from vggexport.reports.html import charts
from vggexport.reports.html.page import page
from vggexport.reports.html.themes import SeriesStyle, series_style
from vggexport.results.verify import CandidateReport, VerifyReport
from vggexport.system.number_text import decibels

EXACT_DB = 100.0
"""What an infinite figure is drawn as, where no finite one is larger: float32 has about as much."""


_GRAVER = ("passed", "passed, with warnings", "FAILED")
"""Verdicts of files, each worse than the one before: the page's is the worst."""


@dataclass(frozen=True, slots=True)
class _Bar:
    """One figure of several that are compared, by shares of what all of them span with zero.

    Attributes:
        what: Its name.
        figure: Itself.
        start: Where the bar begins; a negative one's ends at zero.
        length: How long it is; None for a NaN, which has no bar.
        look: "before" or "after".
    """

    what: str
    figure: str
    start: float
    length: float | None
    look: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A candidate, and how it is told from the others on the page."""

    candidate: CandidateReport
    verdict: str
    style: SeriesStyle
    findings: Mapping[str, str]
    scatter: charts.Chart | None
    bars: Sequence[_Bar]

    @property
    def is_passed(self) -> bool:
        return not self.candidate.failures


def verification(report: VerifyReport) -> str:
    """Everything that was found out, on one page."""
    assumed = bool(report.assumed_pixels)
    entries = [
        _entry(number, candidate, verification_words.verdict(candidate, is_doubtful=assumed))
        for number, candidate in enumerate(report.candidates)
    ]
    layered = [entry for entry in entries if entry.candidate.layers]
    return page(
        "verification.html",
        report=report,
        entries=entries,
        verdict=max((entry.verdict for entry in entries), key=_GRAVER.index),
        layered=layered,
        curve=_curve(layered) if layered else None,
        curve_notes=_notes(layered),
        runners=(report.reference, *(candidate.runner for candidate in report.candidates)),
        versions=report.versions,
        verification_words=verification_words,
    )


def _entry(number: int, candidate: CandidateReport, verdict: str) -> _Entry:
    style = series_style(number)
    scatter = _scatter(candidate, style) if len(candidate.scatter) else None
    findings = verification_words.findings(candidate)
    return _Entry(candidate, verdict, style, findings, scatter, _bars(candidate))


def _bars(candidate: CandidateReport) -> tuple[_Bar, ...]:
    """What the named mistake costs."""
    named = candidate.diagnosis and candidate.diagnosis.named
    if not named:
        return ()
    pairs = [("as it is", named.without_db, "before")]
    if not math.isnan(named.with_db):  # where all weights are other ones, nothing is left
        pairs.append(("mistake undone", named.with_db, "after"))
    known = [_finite(db) for _, db, _ in pairs if not math.isnan(db)]
    ends = min([0.0, *known]), max([1.0, *known])
    return tuple(_bar(what, db, ends, look) for what, db, look in pairs)


def _finite(value: float) -> float:
    return math.copysign(EXACT_DB, value) if math.isinf(value) else value


def _bar(what: str, value: float, ends: tuple[float, float], look: str) -> _Bar:
    """A bar from zero; an infinite one reaches the end."""
    low, high = ends
    if math.isnan(value):
        return _Bar(what, decibels(value), 0.0, None, look)
    first, last = sorted((0.0, min(max(value, low), high)))
    span = high - low
    return _Bar(what, decibels(value), (first - low) / span, (last - first) / span, look)


def _scatter(candidate: CandidateReport, style: SeriesStyle) -> charts.Chart:
    return charts.scatter(
        candidate.scatter,
        style,
        x_label="logit of the reference",
        y_label="logit of the file",
        alt=f"{len(candidate.scatter)} logits of the reference and of the file; the SQNR of all of "
        f"them is {decibels(candidate.metrics.logit_sqnr_db)}",
    )


def _notes(entries: Sequence[_Entry]) -> list[str]:
    """What one must know to read the curve."""
    values = [layer.sqnr_db for entry in entries for layer in entry.candidate.layers]
    notes = {"at the upper edge: exact": math.inf in values} | {
        "where a line is broken: NaN": any(map(math.isnan, values))
    }
    return [note for note, holds in notes.items() if holds]


def _curve(entries: Sequence[_Entry]) -> charts.Chart:
    """SQNR of layer after layer, a line a file."""
    names = [layer.name for layer in entries[0].candidate.layers]
    return charts.line(
        [_series(entry.candidate, entry.style) for entry in entries],
        names,
        y_label="SQNR of the layer's outputs, dB",
        alt=f"SQNR of {len(names)} layers for {len(entries)} files, whose figures are in the table "
        "below",
    )


def _series(candidate: CandidateReport, style: SeriesStyle) -> charts.Series:
    marked = [verification_words.stands_out(candidate, layer) for layer in candidate.layers]
    values = [layer.sqnr_db for layer in candidate.layers]
    return charts.Series(values, style, marked.index(True) if True in marked else None)
