"""Results as JUnit XML, which the dashboards of CI servers read.

There is no standard. What is written here is within Jenkins' schema, junit-10.xsd of
https://github.com/jenkinsci/xunit-plugin, and is the part of it that GitLab and others read too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from vggexport.reports.verification_words import FIGURES, described, findings, limits
from vggexport.results.verify import CandidateReport, RunnerRecord, VerifyReport
from vggexport.system.number_text import decibels, difference, printable, share

SUITE = "vggexport.verify"


def verification(report: VerifyReport) -> str:
    """One suite, a test case a file."""
    cases = [_case(candidate) for candidate in report.candidates]
    return suite(SUITE, cases, _properties(report), sum(report.seconds.values()))


def suite(
    name: str, cases: Sequence[ET.Element], properties: Mapping[str, str], seconds: float
) -> str:
    """The XML of one suite of ``testcase`` elements; one that failed has a ``failure``.

    Its name has a dot, which dashboards take for that between a package and a class.
    """
    counts = {
        "name": name,
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
        "time": f"{seconds:.3f}",
    }
    suites = ET.Element("testsuites", counts)
    element = ET.SubElement(suites, "testsuite", counts | {"skipped": "0"})
    listed = ET.SubElement(element, "properties")
    for key, value in properties.items():
        ET.SubElement(listed, "property", {"name": key, "value": value})
    element.extend(cases)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, "unicode") + "\n"


def case(suite_name: str, runner: RunnerRecord, text: str, kind: str, broken: str) -> ET.Element:
    """A test case."""
    name, seconds = printable(runner.path), f"{runner.seconds:.3f}"
    element = ET.Element("testcase", {"classname": suite_name, "name": name, "time": seconds})
    if broken:
        ET.SubElement(element, "failure", {"type": kind, "message": broken}).text = text
    else:
        ET.SubElement(element, "system-out").text = text
    return element


def _properties(report: VerifyReport) -> dict[str, str]:
    reference = report.reference
    return {
        "reference": printable(reference.path),
        "reference runtime": f"{reference.runtime}, {reference.provider}",
        "reference precision": reference.precision.value,
        "images": str(report.images),
        "source": printable(report.source),
        **({"pictures": printable(report.picture_line)} if report.picture_line else {}),
        "peak_rss_bytes": str(report.peak_rss_bytes),
    }


def _case(candidate: CandidateReport) -> ET.Element:
    found = findings(candidate)
    text = "\n".join((_figures(candidate), *map(": ".join, found.items())))
    failures = (*candidate.failures, found.get("fault", "")) if candidate.failures else ()
    return case(SUITE, candidate.runner, text, "parity", "; ".join(filter(None, failures)))


def _figures(candidate: CandidateReport) -> str:
    runner, metrics = candidate.runner, candidate.metrics
    return (
        f"{described(runner)}, {runner.provider}: max abs {difference(metrics.max_abs)}, "
        f"SQNR {decibels(metrics.sqnr_db)}, SQNR of the logits {decibels(metrics.logit_sqnr_db)}, "
        f"top-1 agreement {share(metrics.top1_agreement)}, top-5 {FIGURES['top-5'](candidate)}; "
        f"required: {', '.join(limits(candidate.tolerance))}"
    )
