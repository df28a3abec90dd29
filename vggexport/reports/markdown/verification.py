"""A verification as the summary of a CI job: the verdict first, the rest below."""

from __future__ import annotations

from vggexport.reports.sheets import cells
from vggexport.reports.verification_words import (
    DEFINITIONS,
    FIGURES,
    findings,
    guess,
    headline,
    limits,
    stands_out,
    verdict,
)
from vggexport.results.verify import CandidateReport, LayerParity, VerifyReport
from vggexport.system.markdown import code, details, document, escaped, table, terms
from vggexport.system.number_text import cost, decibels


def verification(report: VerifyReport) -> str:
    """All of it as GitHub-flavoured Markdown."""
    return document(
        f"## {'❌' if report.failures else '✅'} vggexport verify",
        f"**{headline(report)}** Held to {code(report.reference.path)} "
        f"({report.reference.precision.value}, {escaped(report.reference.runtime)}) on "
        f"{report.images} images of {code(report.source)}.",
        _files(report),
        *(_findings(candidate) for candidate in report.candidates),
        _worst(report),
        _layers([candidate for candidate in report.candidates if candidate.layers]),
        _tolerances(report),
        escaped(cost(report.seconds, report.peak_rss_bytes)),
    )


def _files(report: VerifyReport) -> str:
    header = ("file", "runtime", "precision", "verdict")
    rows = [
        (
            code(candidate.runner.path),
            escaped(candidate.runner.runtime),
            candidate.runner.precision.value,
            f"**{verdict(candidate)}**" if candidate.failures else verdict(candidate),
            *cells(FIGURES, candidate),
        )
        for candidate in report.candidates
    ]
    return table((*header, *FIGURES), rows, names=len(header))


def _findings(candidate: CandidateReport) -> str:
    if not (found := findings(candidate)):
        return ""
    return f"### {verdict(candidate)}: {code(candidate.runner.path)}\n\n{terms(found)}"


def _worst(report: VerifyReport) -> str:
    header = ("file", "image", "reference", "file says", "logit SQNR")
    rows = [
        (
            code(candidate.runner.path),
            code(image.label),
            escaped(guess(image.expected)),
            escaped(guess(image.actual)),
            decibels(image.logit_sqnr_db),
        )
        for candidate in report.candidates
        for image in candidate.worst
    ]
    return details("Worst images", table(header, rows, names=4)) if rows else ""


def _layers(candidates: list[CandidateReport]) -> str:
    """SQNR of each layer, a column a file; the layer that stands out in bold."""
    if not candidates:
        return ""
    rows = [
        (code(layers[0].name), *map(_layer, layers, candidates))
        for layers in zip(*(candidate.layers for candidate in candidates), strict=True)
    ]
    header = ("layer", *(code(candidate.runner.path) for candidate in candidates))
    return details("SQNR layer by layer", table(header, rows))


def _layer(layer: LayerParity, candidate: CandidateReport) -> str:
    text = decibels(layer.sqnr_db)
    return f"**{text}**" if stands_out(candidate, layer) else text


def _tolerances(report: VerifyReport) -> str:
    rows = [
        (
            code(candidate.runner.path),
            escaped(", ".join(limits(candidate.tolerance))),
            escaped(candidate.tolerance.reason),
        )
        for candidate in report.candidates
    ]
    content = table(("file", "demanded", "because"), rows, names=3)
    return details("Tolerances and their reasons", f"{content}\n\n{DEFINITIONS}")
