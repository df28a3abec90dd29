"""A verification as text: every file against the reference, and why those that failed did."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from vggexport.reports.text.layout import grid, table_of
from vggexport.reports.verification_words import (
    FIGURES,
    described,
    findings,
    guess,
    stands_out,
    tried,
    verdict,
)
from vggexport.results.verify import CandidateReport, VerifyReport
from vggexport.system.columns import cells
from vggexport.system.number_text import cost, decibels, printable

FIGURE_WIDTH = len("-100.0 <")
BAR_WIDTH = 10


def verification(report: VerifyReport, *, verbose: bool = False) -> RenderableType:
    """The figures of every file, what was found out about each, and its layers where compared.

    Args:
        report: What was found.
        verbose: List every mistake that was tried too.
    """
    lines = {
        "reference": described(report.reference),
        "images": f"{report.images} of {printable(report.source)}",
        "cost": cost(report.seconds, report.peak_rss_bytes),
    }
    parts: list[RenderableType] = [_files(report), grid(lines)]
    if seen := [candidate for candidate in report.candidates if candidate.worst]:
        parts += ["", _worst(seen)]
    for candidate in report.candidates:
        if found := findings(candidate):
            if verbose and candidate.diagnosis:
                found |= {"tried": tried(candidate.diagnosis)}
            parts += ["", grid({verdict(candidate): printable(candidate.runner.path)} | found)]
    if compared := [candidate for candidate in report.candidates if candidate.layers]:
        parts += ["", _layers(compared)]
    return Group(*parts)


def _files(report: VerifyReport) -> Table:
    table = table_of("file", "precision", *FIGURES, "verdict", folded={"file"})
    for candidate in report.candidates:
        table.add_row(
            Text(printable(candidate.runner.path)),
            candidate.runner.precision.value,
            *cells(FIGURES, candidate),
            verdict(candidate),
            style="bold" if candidate.failures else "",
        )
    return table


def _worst(candidates: list[CandidateReport]) -> Table:
    """The worst image of each file, and what is seen on it."""
    names, says = ("file", "worst image"), ("reference", "file says")
    table = table_of(*names, "logit SQNR", *says, folded=names + says)
    for candidate in candidates:
        image = candidate.worst[0]
        table.add_row(
            Text(printable(candidate.runner.path)),
            Text(printable(image.label)),
            decibels(image.logit_sqnr_db),
            Text(guess(image.expected)),
            Text(guess(image.actual)),
        )
    return table


def _layers(candidates: list[CandidateReport]) -> Table:
    """SQNR of each layer and a bar for it, a column a file; the layer that stands out is marked."""
    paths = [printable(c.runner.path) for c in candidates]
    title = f"{candidates[0].layer_images} images,\nSQNR in dB"
    table = table_of(title, *paths, folded=paths)
    for column in table.columns:
        column.justify = "left"
    known = [layer.sqnr_db for c in candidates for layer in c.layers]
    full = max([1.0, *filter(math.isfinite, known)])
    for layers in zip(*(candidate.layers for candidate in candidates), strict=True):
        cells = [
            _LayerCell(layer.sqnr_db, full, is_marked=stands_out(candidate, layer))
            for layer, candidate in zip(layers, candidates, strict=True)
        ]
        table.add_row(Text(layers[0].name), *cells)
    return table


@dataclass(frozen=True, slots=True)
class _LayerCell:
    """A figure, and as much of a bar as there is room for.

    Attributes:
        sqnr_db: The figure.
        full_db: That of a full bar.
        is_marked: Whether it stands out.
    """

    sqnr_db: float
    full_db: float
    is_marked: bool

    def __rich_measure__(self, _console: Console, _options: ConsoleOptions) -> Measurement:
        return Measurement(FIGURE_WIDTH, FIGURE_WIDTH + BAR_WIDTH)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        figure = decibels(self.sqnr_db).removesuffix(" dB")
        room = max(0, min(options.max_width - FIGURE_WIDTH, BAR_WIDTH))
        share = 0.0 if math.isnan(self.sqnr_db) else max(0.0, self.sqnr_db / self.full_db)
        bar = ("#" if options.ascii_only else "\N{FULL BLOCK}") * round(min(share, 1.0) * room)
        mark = "<" if self.is_marked else " "
        text = f"{figure:>{FIGURE_WIDTH - 2}} {mark}{bar:<{room}}"
        yield Text(text, style="bold" if self.is_marked else "", no_wrap=True)
