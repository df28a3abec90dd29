"""Bundles as text: what was packed, and what a check of one found."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType

from vggexport.precision import Precision
from vggexport.reports.paths import ends
from vggexport.reports.text.layout import Grid, Table
from vggexport.reports.text.next_steps import quoted
from vggexport.results.bundle import (
    AnswerCheck,
    BundleCheckReport,
    BundleReport,
    Integrity,
    SizeGate,
)
from vggexport.system.number_text import MEGA, cost, counted, decibels, difference, printable, share


def bundle(report: BundleReport, key: Path | None = None) -> RenderableType:
    """What was packed, or why nothing was.

    ``key`` is the private one that signed it; the line to run next names the public one.
    """
    lines = {"cost": cost(report.seconds, report.peak_rss_bytes)}
    if report.manifest:
        size = (report.size_bytes or 0) / MEGA
        signed = ", signed" if report.is_signed else ""
        lines = {
            "bundle": f"{printable(report.path)}, {report.files} files, {size:.1f} MB{signed}",
            "sha256": report.sha256 or "",
            "weights": printable(report.manifest.weights_source),
            "licence": printable(report.manifest.licence or "not stated"),
            **lines,
            **_next(report.path, key),
        }
    parts: list[RenderableType] = [_answers(report.answers), ""] if report.answers else []
    if report.sizes.max_bytes is not None:
        parts += [_sizes(report.sizes), ""]
    return Group(*parts, Grid(lines))


def _next(path: str, key: Path | None) -> dict[str, str]:
    check = f"vggexport check-bundle {quoted(path)}"
    if key is None:
        return {"next": check}
    public = quoted(str(key.with_suffix(".pub.pem")))
    return {
        "public key": f"openssl pkey -in {quoted(str(key))} -pubout -out {public}",
        "next": f"{check} --public-key {public}",
    }


def bundle_check(report: BundleCheckReport) -> RenderableType:
    """What a check found."""
    lines = {
        "bundle": f"{printable(report.path)}, {report.integrity.files} files",
        "content": _verdict(report.integrity),
    }
    if prepared := report.preprocessing:
        verdict = "FAILED" if prepared.failures else "passed"
        lines["preprocessing"] = (
            f"{verdict}: {counted(prepared.images, 'image')}, at most "
            f"{counted(prepared.levels, 'level')} off"
        )
        lines["golden images"] = f"{report.images}{_processors(report.answers)}"
    lines["cost"] = cost(report.seconds, report.peak_rss_bytes)
    parts: list[RenderableType] = [_answers(report.answers)] if report.answers else []
    return Group(*parts, Grid(lines))


def _processors(checks: tuple[AnswerCheck, ...]) -> str:
    """Where the golden answers were given, and where they were checked."""
    told = dict.fromkeys(
        f", answered on {printable(check.recorded_on)}, checked on {printable(check.processor)}"
        for check in checks
        if check.recorded_on
    )
    return "".join(told)


def _verdict(integrity: Integrity) -> str:
    if integrity.problems:
        return f"REFUSED: {printable('; '.join(integrity.problems))}"
    if integrity.is_verified:
        return "what was packed, signed by the owner of the key"
    unproved = "the signature was not checked" if integrity.is_signed else "it is not signed"
    return f"agrees with its own list of digests; {unproved}"


def _answers(checks: tuple[AnswerCheck, ...]) -> Table:
    figures = ("max abs", "logit SQNR", "top-1", "verdict")
    table = Table("file", "runtime", *figures, names=2, paths=True)
    for check in checks:
        table.add_row(
            check.path,
            check.runtime,
            difference(check.metrics.max_abs),
            decibels(check.metrics.logit_sqnr_db),
            share(check.metrics.top1_agreement),
            "FAILED" if check.failures else "passed",
            bold=bool(check.failures),
        )
    return table


def _sizes(gate: SizeGate) -> Table:
    """Megabytes of each layer, a column a file; below, those of all weights in each precision."""
    table = Table("MB", *ends(file.path for file in gate.files).values())
    for layers in zip(*(file.layers for file in gate.files), strict=True):
        table.add_row(layers[0].name, *(_megabytes(layer.size_bytes) for layer in layers))
    table.add_row("graph and metadata", *(_megabytes(file.other_bytes) for file in gate.files))
    table.add_row("in all", *(_megabytes(file.size_bytes) for file in gate.files), bold=True)
    table.add_row("limit", *(_megabytes(gate.max_bytes or 0) for _ in gate.files))
    for precision in Precision:
        sizes = [file.precisions.get(precision) for file in gate.files]
        if any(sizes):
            cells = ("" if size is None else _megabytes(size) for size in sizes)
            table.add_row(f"weights in {precision.value}", *cells)
    return table


def _megabytes(size: int) -> str:
    return f"{size / MEGA:.3f}"
