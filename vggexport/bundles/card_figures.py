"""Figures that a model card quotes of reports, on the files and on what they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vggexport.bundles.evidence import BENCHMARK, EVALUATE, VERIFY, Evidence, Row, number
from vggexport.results.bundle_manifest import Manifest
from vggexport.system.columns import Columns
from vggexport.system.markdown import code, details, escaped, table_of
from vggexport.system.number_text import decibels, fixed, share

SHOWN_CLASSES = 200
"""More are left to the report."""

_DIGEST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class _Quote:
    """What a report says of a file, which stands in a table as ``file``."""

    file: str
    report: Evidence
    row: Row


def _number(text: Callable[[float], str], *keys: str) -> Callable[[_Quote], str]:
    return lambda quote: _shown(text, quote.row, *keys)


def _shown(text: Callable[[float], str], row: Row, *keys: str) -> str:
    """A number of a row as text; nothing where there is none."""
    value = number(row, *keys)
    return "" if value is None else text(value)


def _with_interval(row: Row, key: str, interval: str, text: Callable[[float], str] = share) -> str:
    """A share with its 95 % interval, where the row has one."""
    ends = row.get(interval)
    both = [number({"end": end}, "end") for end in ends] if isinstance(ends, list) else []
    if len(both) != len(("low", "high")) or None in both:
        return _shown(text, row, key)
    low, high = (text(end) for end in both if end is not None)
    return f"{_shown(text, row, key)} ({low} to {high})"


def _logit_sqnr(quote: _Quote) -> str:
    """A null stands for equal logits: JSON knows no infinity."""
    metrics = quote.row["metrics"]
    if isinstance(metrics, dict) and metrics.get("logit_sqnr_db", "") is None:
        return "exact"
    return _shown(decibels, quote.row, "metrics", "logit_sqnr_db")


def _report(quote: _Quote) -> str:
    """Its name, and that it may be of another file where it says not of which bytes it is."""
    name = code(quote.report.path.name)
    return name if quote.row.get("sha256") else f"{name}, of a file of this name"


def _machine(report: Evidence) -> Row:
    found = report.data.get("environment")
    return found if isinstance(found, dict) else {}


def _reference(report: Evidence) -> str:
    found = report.data.get("reference")
    return code(str(found.get("path"))) if isinstance(found, dict) else ""


_ACCURACY: Columns[_Quote] = {
    "file": lambda quote: quote.file,
    "images": _number("{:.0f}".format, "images"),
    "top-1 (95 %)": lambda quote: _with_interval(quote.row, "top1", "top1_ci95"),
    "top-5 (95 %)": lambda quote: _with_interval(quote.row, "top5", "top5_ci95"),
    "report": _report,
}

_PAIRS: Columns[Row] = {
    "file": lambda row: code(str(row.get("b"))),
    "compared with": lambda row: code(str(row.get("a"))),
    "same best class": lambda row: _shown(share, row, "agreement"),
    "drop of top-1 in points (95 %)": lambda row: _with_interval(
        row, "drop", "drop_ci95", lambda drop: fixed(100 * drop, 2)
    ),
    "McNemar's p": lambda row: _shown("{:.2g}".format, row, "mcnemar_p"),
}

_PARITY: Columns[_Quote] = {
    "file": lambda quote: quote.file,
    "held to": lambda quote: _reference(quote.report),
    "images": lambda quote: _shown("{:.0f}".format, quote.report.data, "images"),
    "logit SQNR": _logit_sqnr,
    "best class the same": _number(share, "metrics", "top1_agreement"),
    "report": _report,
}

_LATENCY: Columns[_Quote] = {
    "file": lambda quote: quote.file,
    "on": lambda quote: escaped(f"{quote.row.get('runtime')}, {quote.row.get('provider')}"),
    "processor": lambda quote: escaped(str(_machine(quote.report).get("cpu_model") or "not told")),
    "threads": _number("{:.0f}".format, "threads"),
    "batch": _number("{:.0f}".format, "batch"),
    "p50": _number("{:.2f} ms".format, "latency_ms", "p50"),
    "p90": _number("{:.2f} ms".format, "latency_ms", "p90"),
    "report": _report,
}


def accuracy(manifest: Manifest, evidence: Sequence[Evidence]) -> str:
    """Top-1 and top-5 beside those of what they are compared with, on which images, by class."""
    parts = []
    for report in (report for report in evidence if report.kind == EVALUATE):
        quotes = list(_bundled(manifest, report))
        first = next(iter(report.data["results"]), None)
        if first is not None and first not in [quote.row for quote in quotes]:
            name = f"{code(str(first.get('path')))}, not in this bundle"
            quotes.insert(0, _Quote(name, report, first))
        pairs = report.data.get("comparisons")
        rows = [p for p in pairs if isinstance(p, dict)] if isinstance(pairs, list) else []
        parts += [
            _images(report),
            table_of(_ACCURACY, quotes),
            table_of(_PAIRS, rows, names=2) if rows else "",
            *(_by_class(quote) for quote in quotes),
        ]
    return "\n\n".join(filter(None, parts))


def _images(report: Evidence) -> str:
    """Which images its figures are of."""
    source, fingerprint = (report.data.get(key) for key in ("source", "fingerprint"))
    if not isinstance(source, str):
        return ""
    count = _shown("{:.0f}".format, report.data, "images") or "some"
    digits = fingerprint[:_DIGEST_DIGITS] if isinstance(fingerprint, str) else ""
    known = f", fingerprint {code(digits)}" if digits else ""
    return f"{count} labelled images of {code(source)}{known}:"


def _by_class(quote: _Quote) -> str:
    """How often a file is right about each class, folded away."""
    classes = quote.row.get("classes")
    rows = [c for c in classes if isinstance(c, dict)] if isinstance(classes, list) else []
    if not 0 < len(rows) <= SHOWN_CLASSES:
        return ""
    columns: Columns[Row] = {
        "class": lambda row: escaped(str(row.get("label"))),
        "images": lambda row: _shown("{:.0f}".format, row, "images"),
        "top-1": lambda row: _shown(share, row, "top1"),
        "precision": lambda row: _shown(share, row, "precision"),
    }
    return details(f"By class: {quote.file}", table_of(columns, rows))


def parity(manifest: Manifest, evidence: Sequence[Evidence]) -> str:
    """How far each file is from its reference, as reports of ``verify`` say."""
    quotes = [
        quote
        for report in evidence
        if report.kind == VERIFY
        for quote in _bundled(manifest, report)
        if "metrics" in quote.row  # the reference has none
    ]
    return table_of(_PARITY, quotes, names=2) if quotes else ""


def latency(manifest: Manifest, evidence: Sequence[Evidence]) -> str:
    """How long a run takes, on which processor, and whether that was busy."""
    reports = [report for report in evidence if report.kind == BENCHMARK]
    quotes = [quote for report in reports for quote in _bundled(manifest, report)]
    busy = [
        f"- **The machine of {code(report.path.name)} was busy: other programs are in these "
        "figures.**"
        for report in reports
        if _machine(report).get("busy")
    ]
    figures = table_of(_LATENCY, quotes, names=3) if quotes else ""
    return "\n\n".join(filter(None, (figures, "\n".join(busy))))


def _bundled(manifest: Manifest, report: Evidence) -> Iterator[_Quote]:
    """What it says of the files that are bundled."""
    for bundled in manifest.artifacts:
        for row in report.rows(bundled.source_name, bundled.source_sha256):
            yield _Quote(code(bundled.artifact.path), report, row)
