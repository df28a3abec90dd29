"""A verification as the summary of a CI job: the verdict first, the rest below."""

from __future__ import annotations

from vggexport.reports import verification_words as words
from vggexport.results.verify import CandidateReport, ImageParity, LayerParity, VerifyReport
from vggexport.system.columns import Columns
from vggexport.system.markdown import code, details, document, escaped, table, table_of, terms
from vggexport.system.number_text import cost, counted, decibels

_FILES: Columns[CandidateReport] = {
    "file": lambda c: code(c.runner.path),
    "runtime": lambda c: escaped(c.runner.runtime),
    "precision": lambda c: c.runner.precision.value,
    "verdict": lambda c: f"**{words.verdict(c)}**" if c.failures else words.verdict(c),
    **words.FIGURES,
}

_WORST: Columns[tuple[CandidateReport, ImageParity]] = {
    "file": lambda pair: code(pair[0].runner.path),
    "image": lambda pair: code(pair[1].label),
    "reference": lambda pair: escaped(words.guess(pair[1].expected)),
    "file says": lambda pair: escaped(words.guess(pair[1].actual)),
    "logit SQNR": lambda pair: decibels(pair[1].logit_sqnr_db),
}

_TOLERANCES: Columns[CandidateReport] = {
    "file": lambda c: code(c.runner.path),
    "demanded": lambda c: escaped(", ".join(words.limits(c.tolerance))),
    "because": lambda c: escaped(c.tolerance.reason),
}


def verification(report: VerifyReport) -> str:
    """All of it as GitHub-flavoured Markdown."""
    worst = [(candidate, image) for candidate in report.candidates for image in candidate.worst]
    tolerances = table_of(_TOLERANCES, report.candidates, names=3)
    return document(
        f"## {'❌' if report.failures else '✅'} vggexport verify",
        f"**{words.headline(report)}** Compared with {code(report.reference.path)} "
        f"({report.reference.precision.value}, {escaped(report.reference.runtime)}) on "
        f"{counted(report.images, 'image')} of {code(report.source)}.",
        escaped(words.pictures_line(report.picture_line)),
        f"Pixels: {escaped(doubt)}." if (doubt := words.doubtful_pixels(report)) else "",
        table_of(_FILES, report.candidates, names=4),
        *(_findings(candidate) for candidate in report.candidates),
        details("Worst images", table_of(_WORST, worst, names=4)) if worst else "",
        _layers([candidate for candidate in report.candidates if candidate.layers]),
        details("Tolerances and their reasons", f"{tolerances}\n\n{words.DEFINITIONS}"),
        escaped(cost(report.seconds, report.peak_rss_bytes)),
    )


def _findings(candidate: CandidateReport) -> str:
    if not (found := words.findings(candidate)):
        return ""
    return f"### {words.verdict(candidate)}: {code(candidate.runner.path)}\n\n{terms(found)}"


def _layers(candidates: list[CandidateReport]) -> str:
    """SQNR of each layer, a column a file; the layer that stands out in bold."""
    if not candidates:
        return ""
    rows = [
        (code(layers[0].name), *map(_layer, layers, candidates))
        for layers in zip(*(candidate.layers for candidate in candidates), strict=True)
    ]
    header = ("layer", *(code(candidate.runner.path) for candidate in candidates))
    return details(f"SQNR layer by layer, {candidates[0].layer_images} images", table(header, rows))


def _layer(layer: LayerParity, candidate: CandidateReport) -> str:
    text = decibels(layer.sqnr_db)
    return f"**{text}**" if words.stands_out(candidate, layer) else text
