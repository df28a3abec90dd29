"""An evaluation as JUnit XML: a test case a network, or one a limit where limits are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from vggexport.metrics.verdict import refused
from vggexport.reports.evaluation_words import FIGURES, findings, interval, pixels_line
from vggexport.reports.junit.verification import case, suite
from vggexport.results.evaluate import EvaluationReport, EvaluationResult
from vggexport.system.number_text import printable, share

SUITE = "vggexport.evaluate"


def evaluation(report: EvaluationReport) -> str:
    """One suite, a test case a network."""
    properties = {
        "images": str(report.images),
        "unreadable": str(len(report.unreadable)),
        "source": printable(report.source),
        "pictures": printable(report.picture_line),
        "pixels": pixels_line(report),
        "engine": report.engine,
        "peak_rss_bytes": str(report.peak_rss_bytes),
    }
    cases = [_case(report, result) for result in report.results]
    return suite(SUITE, cases, properties, sum(report.seconds.values()))


def _case(report: EvaluationReport, result: EvaluationResult) -> ET.Element:
    text = "\n".join((_figures(result), *map(": ".join, findings(result).items())))
    return case(SUITE, result.runner, text, "accuracy", "; ".join(_broken(report, result)))


def _broken(report: EvaluationReport, result: EvaluationResult) -> Iterator[str]:
    for check in report.checks:
        if check.path == result.runner.path and check.verdict in refused(strict=report.strict):
            yield f"{check.verdict.value}: {printable(check.clause)}"
    if report.strict and result.suspicion:
        yield printable(result.suspicion)


def _figures(result: EvaluationResult) -> str:
    accuracy = result.accuracy
    return (
        f"{result.runner.precision.value}, {result.runner.runtime}: top-1 {share(accuracy.top1)} "
        f"(95 %: {interval(accuracy.top1_interval)}), top-5 {FIGURES['top-5'](result)}, agreement "
        f"{share(result.agreement)}"
    )
