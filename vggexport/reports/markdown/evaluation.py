"""An evaluation as the summary of a CI job: the verdict first, the rest below."""

from __future__ import annotations

from vggexport.metrics.verdict import Verdict
from vggexport.reports import evaluation_words as words
from vggexport.reports.verification_words import pictures_line
from vggexport.results.evaluate import EvaluationReport, EvaluationResult
from vggexport.system.columns import Columns
from vggexport.system.markdown import code, details, document, escaped, table, table_of, terms
from vggexport.system.number_text import cost, counted, share

SIGNS = {None: "", Verdict.PASS: "✅ ", Verdict.FAIL: "❌ ", Verdict.INCONCLUSIVE: "❔ "}

_NETWORKS: Columns[EvaluationResult] = {
    "network": lambda r: code(r.runner.path),
    "runtime": lambda r: escaped(r.runner.runtime),
    "precision": lambda r: r.runner.precision.value,
    **words.FIGURES,
}


def evaluation(report: EvaluationReport) -> str:
    """All of it as GitHub-flavoured Markdown."""
    sign = SIGNS[Verdict.FAIL if report.failures else report.verdict]
    return document(
        f"## {sign}vggexport evaluate",
        f"**{words.headline(report)}** {counted(report.images, 'image')} of {code(report.source)}"
        f"{words.left_out(report)}.",
        escaped(pictures_line(report.picture_line)),
        escaped(f"Pixels: {told}." if (told := words.pixels_line(report)) else ""),
        table_of(_NETWORKS, report.results, names=3),
        "\n".join(f"- {escaped(words.verdict_line(check))}" for check in report.checks),
        *(_findings(result) for result in report.results),
        _classes(report),
        *(_confusions(result) for result in report.results),
        words.DEFINITIONS,
        escaped(cost(report.seconds, report.peak_rss_bytes)),
    )


def _findings(result: EvaluationResult) -> str:
    if not (found := words.findings(result)):
        return ""
    return f"### {code(result.runner.path)}\n\n{terms(found)}"


def _classes(report: EvaluationReport) -> str:
    rows = [
        (code(scores[0].label), str(scores[0].images), *(share(score.top1) for score in scores))
        for scores in report.by_class
    ]
    header = ("class", "images", *(code(result.runner.path) for result in report.results))
    return details("Top-1 by class", table(header, rows))


def _confusions(result: EvaluationResult) -> str:
    rows = [(code(m.label), code(m.answer), str(m.images)) for m in result.confusions]
    if not rows:
        return ""
    title = f"Commonest mistakes of {escaped(result.runner.path)}"
    return details(title, table(("class", "taken for", "images"), rows, names=2))
