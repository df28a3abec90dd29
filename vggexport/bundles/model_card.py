"""The texts of a bundle for people: its model card, and the receiver's guide."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from vggexport import __version__
from vggexport.bundles.evidence import BENCHMARK, EVALUATE, VERIFY, Evidence, Row, number
from vggexport.formats.registry import FORMATS
from vggexport.results.bundle import AnswerCheck
from vggexport.results.bundle_manifest import BundledArtifact, Manifest
from vggexport.system.markdown import code, escaped, table
from vggexport.system.number_text import MEGA, decibels, share

_TEMPLATES = Environment(
    loader=PackageLoader("vggexport.bundles"),
    autoescape=False,  # noqa: S701  Markdown and not HTML: names pass through the filters below
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters |= {"code": lambda text: code(str(text)), "escaped": lambda t: escaped(str(t))}
_TEMPLATES.globals["version"] = __version__


def guide(manifest: Manifest, *, is_signed: bool) -> str:
    """How a receiver checks and uses a bundle."""
    formats = dict.fromkeys(bundled.artifact.format for bundled in manifest.artifacts)
    packages = dict.fromkeys(FORMATS[name].runtime().package for name in formats)
    return _TEMPLATES.get_template("README.md.j2").render(
        manifest=manifest, is_signed=is_signed, packages=packages, files=_files(manifest)
    )


def model_card(
    manifest: Manifest, evidence: Sequence[Evidence], checks: Sequence[AnswerCheck]
) -> str:
    """What the models are, how good and how fast, and whose.

    Args:
        manifest: Of the bundle.
        evidence: Reports that figures are quoted from.
        checks: The models' answers for the golden images against the reference's.
    """
    return _TEMPLATES.get_template("MODEL_CARD.md.j2").render(
        manifest=manifest,
        artifact=manifest.artifacts[0].artifact,
        calibrations=[b.artifact.calibration for b in manifest.artifacts if b.artifact.calibration],
        files=_files(manifest),
        accuracy=_accuracy(manifest, evidence),
        parity=_parity(manifest, evidence),
        latency=_latency(manifest, evidence),
        answers=_answers(checks),
    )


def _files(manifest: Manifest) -> str:
    rows = [
        (
            code(b.artifact.path),
            b.artifact.format,
            b.artifact.precision.value,
            code(b.artifact.sha256 or ""),
            f"{(b.artifact.size_bytes or 0) / MEGA:.1f} MB",
        )
        for b in manifest.artifacts
    ]
    return table(("file", "format", "precision", "SHA-256", "size"), rows, names=4)


def _answers(checks: Sequence[AnswerCheck]) -> str:
    rows = [
        (
            code(check.path),
            escaped(check.runtime),
            decibels(check.metrics.logit_sqnr_db),
            share(check.metrics.top1_agreement),
        )
        for check in checks
    ]
    return table(("file", "runtime", "logit SQNR", "best class the same"), rows, names=2)


def _accuracy(manifest: Manifest, evidence: Sequence[Evidence]) -> str:
    rows = [
        (
            code(bundled.artifact.path),
            _shown("{:.0f}".format, row, "images"),
            _shown(share, row, "top1"),
            _shown(share, row, "top5"),
            _shown(share, row, "agreement"),
            code(report.path.name),
        )
        for bundled, report, row in _quoted(manifest, evidence, EVALUATE)
    ]
    head = ("file", "images", "top-1", "top-5", "agreement", "report")
    return table(head, rows) if rows else ""


def _parity(manifest: Manifest, evidence: Sequence[Evidence]) -> str:
    rows = [
        (
            code(bundled.artifact.path),
            _shown("{:.0f}".format, report.data, "images"),
            _logit_sqnr(row),
            _shown(share, row, "metrics", "top1_agreement"),
            code(report.path.name),
        )
        for bundled, report, row in _quoted(manifest, evidence, VERIFY)
        if "metrics" in row
    ]
    head = ("file", "images", "logit SQNR", "best class the same", "report")
    return table(head, rows) if rows else ""


def _latency(manifest: Manifest, evidence: Sequence[Evidence]) -> str:
    rows = [
        (
            code(bundled.artifact.path),
            escaped(f"{row.get('runtime')}, {row.get('provider')}"),
            _shown("{:.0f}".format, row, "threads"),
            _shown("{:.0f}".format, row, "batch"),
            _shown("{:.2f} ms".format, row, "latency_ms", "p50"),
            _shown("{:.2f} ms".format, row, "latency_ms", "p90"),
            code(report.path.name),
        )
        for bundled, report, row in _quoted(manifest, evidence, BENCHMARK)
    ]
    head = ("file", "on", "threads", "batch", "p50", "p90", "report")
    return table(head, rows, names=2) if rows else ""


def _quoted(
    manifest: Manifest, evidence: Sequence[Evidence], kind: str
) -> list[tuple[BundledArtifact, Evidence, Row]]:
    """What reports of one kind say of each model, known to them by the name of its file."""
    return [
        (bundled, report, row)
        for bundled in manifest.artifacts
        for report in evidence
        if report.kind == kind
        for row in report.rows(bundled.source_name)
    ]


def _shown(text: Callable[[float], str], row: Row, *keys: str) -> str:
    """A number of a row as text; nothing where there is none."""
    value = number(row, *keys)
    return "" if value is None else text(value)


def _logit_sqnr(row: Row) -> str:
    """A null stands for equal logits: JSON knows no infinity."""
    metrics = row["metrics"]
    if isinstance(metrics, dict) and metrics.get("logit_sqnr_db", "") is None:
        return "exact"
    return _shown(decibels, row, "metrics", "logit_sqnr_db")
