"""A verification as text: every file against the reference, and why those that failed did."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType

from vggexport.reports import verification_words as words
from vggexport.reports.paths import ends
from vggexport.reports.text.layout import Grid, Table
from vggexport.results.verify import CandidateReport, VerifyReport
from vggexport.system.columns import cells
from vggexport.system.number_text import cost, decibels, printable

FIGURE_WIDTH = len("-100.0")
BAR_WIDTH = 8
BELOW = "below 0"


def verification(report: VerifyReport, *, verbose: bool = False) -> RenderableType:
    """The figures of every file, what was found out about each, and its layers where compared.

    A verbose one lists every mistake that was tried, too.
    """
    lines = {
        "reference": words.described(report.reference),
        "images": f"{report.images} of {printable(report.source)}",
    }
    if report.picture_line:
        lines["pictures"] = printable(report.picture_line)
    lines["cost"] = cost(report.seconds, report.peak_rss_bytes)
    if doubt := words.doubtful_pixels(report):
        lines["pixels"] = doubt
    parts: list[RenderableType] = [_files(report), Grid(lines)]
    if seen := [candidate for candidate in report.candidates if candidate.worst]:
        parts += ["", _worst(seen)]
    for candidate in report.candidates:
        if found := words.findings(candidate):
            if verbose and candidate.diagnosis:
                found |= {"tried": words.tried(candidate.diagnosis)}
            parts += [
                "",
                Grid({words.verdict(candidate): printable(candidate.runner.path)} | found),
            ]
    if compared := [candidate for candidate in report.candidates if candidate.layers]:
        parts += ["", _layers(compared)]
    return Group(*parts)


def _files(report: VerifyReport) -> Table:
    table = Table("file", "verdict", "precision", *words.FIGURES, names=3, paths=True)
    for candidate in report.candidates:
        table.add_row(
            candidate.runner.path,
            words.verdict(candidate, is_doubtful=bool(report.assumed_pixels)),
            candidate.runner.precision.value,
            *cells(words.FIGURES, candidate),
            bold=bool(candidate.failures),
        )
    return table


def _worst(candidates: list[CandidateReport]) -> Table:
    """The worst image of each file, and what is seen on it."""
    heads = ("file", "worst image", "reference says", "file says", "logit SQNR")
    table = Table(*heads, names=4, paths=True)
    for candidate in candidates:
        image = candidate.worst[0]
        table.add_row(
            candidate.runner.path,
            image.label,
            words.guess(image.expected),
            words.guess(image.actual),
            decibels(image.logit_sqnr_db),
        )
    return table


def _layers(candidates: list[CandidateReport]) -> Table:
    """SQNR of each layer and a bar for it, a column a file; the layer that stands out is marked."""
    files = ends(candidate.runner.path for candidate in candidates).values()
    title = f"{candidates[0].layer_images} images, SQNR in dB"
    table = Table(title, *files, names=1 + len(files))
    known = [layer.sqnr_db for c in candidates for layer in c.layers]
    full = max([1.0, *filter(math.isfinite, known)])
    for layers in zip(*(candidate.layers for candidate in candidates), strict=True):
        figures = (
            _with_bar(layer.sqnr_db, full, is_marked=words.stands_out(candidate, layer))
            for layer, candidate in zip(layers, candidates, strict=True)
        )
        table.add_row(layers[0].name, *figures)
    return table


def _with_bar(sqnr_db: float, full_db: float, *, is_marked: bool) -> str:
    """A figure, a mark where it stands out, and a bar as long as it is of a full one's.

    One below zero has words instead.
    """
    figure = decibels(sqnr_db).removesuffix(" dB")
    share = 0.0 if math.isnan(sqnr_db) else sqnr_db / full_db
    bar = "\N{FULL BLOCK}" * round(min(share, 1.0) * BAR_WIDTH) if share >= 0 else BELOW
    return f"{figure:>{FIGURE_WIDTH}} {'<' if is_marked else ' '}{bar}"
