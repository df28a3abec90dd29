"""The texts of a bundle for people: its model card, and the receiver's guide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from calibration import PictureOptions
from vggexport import __version__
from vggexport.artifact import Artifact
from vggexport.bundles.evidence import BENCHMARK, EVALUATE, VERIFY, Evidence, Row, number
from vggexport.bundles.foreign import foreign_names
from vggexport.formats.registry import FORMATS
from vggexport.results.bundle import AnswerCheck
from vggexport.results.bundle_manifest import BundledArtifact, Manifest
from vggexport.system.columns import Columns
from vggexport.system.markdown import code, escaped, table_of
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


@dataclass(frozen=True, slots=True)
class _Quote:
    """What a report says of the file of a model."""

    file: str
    report: Evidence
    row: Row


def _number(text: Callable[[float], str], *keys: str) -> Callable[[_Quote], str]:
    return lambda quote: _shown(text, quote.row, *keys)


def _shown(text: Callable[[float], str], row: Row, *keys: str) -> str:
    """A number of a row as text; nothing where there is none."""
    value = number(row, *keys)
    return "" if value is None else text(value)


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


_FILES: Columns[BundledArtifact] = {
    "file": lambda b: code(b.artifact.path),
    "format": lambda b: b.artifact.format,
    "precision": lambda b: b.artifact.precision.value,
    "SHA-256": lambda b: code(b.artifact.sha256 or ""),
    "size": lambda b: f"{(b.artifact.size_bytes or 0) / MEGA:.1f} MB",
    "needs at least": lambda b: b.requires.words,
}

_ANSWERS: Columns[AnswerCheck] = {
    "file": lambda check: code(check.path),
    "runtime": lambda check: escaped(check.runtime),
    "logit SQNR": lambda check: decibels(check.metrics.logit_sqnr_db),
    "best class the same": lambda check: share(check.metrics.top1_agreement),
}

_ACCURACY: Columns[_Quote] = {
    "file": lambda quote: code(quote.file),
    "images": _number("{:.0f}".format, "images"),
    "top-1": _number(share, "top1"),
    "top-5": _number(share, "top5"),
    "agreement": _number(share, "agreement"),
    "report": _report,
}

_PARITY: Columns[_Quote] = {
    "file": lambda quote: code(quote.file),
    "images": lambda quote: _shown("{:.0f}".format, quote.report.data, "images"),
    "logit SQNR": _logit_sqnr,
    "best class the same": _number(share, "metrics", "top1_agreement"),
    "report": _report,
}

_LATENCY: Columns[_Quote] = {
    "file": lambda quote: code(quote.file),
    "on": lambda quote: escaped(f"{quote.row.get('runtime')}, {quote.row.get('provider')}"),
    "threads": _number("{:.0f}".format, "threads"),
    "batch": _number("{:.0f}".format, "batch"),
    "p50": _number("{:.2f} ms".format, "latency_ms", "p50"),
    "p90": _number("{:.2f} ms".format, "latency_ms", "p90"),
    "report": _report,
}


def guide(manifest: Manifest, pictures: PictureOptions, *, is_signed: bool) -> str:
    """How a receiver checks and uses a bundle, whose pictures become pixels in one way."""
    formats = dict.fromkeys(bundled.artifact.format for bundled in manifest.artifacts)
    packages = dict.fromkeys(FORMATS[name].runtime().package for name in formats)
    return _TEMPLATES.get_template("README.md.j2").render(
        manifest=manifest,
        spec=manifest.artifacts[0].artifact.spec,
        foreign=foreign_names(bundled.artifact for bundled in manifest.artifacts),
        is_signed=is_signed,
        pictures=pictures,
        packages=packages,
        files=table_of(_FILES, manifest.artifacts, names=4),
        notes=dict.fromkeys(
            f"{code(b.artifact.path)}: {note}"
            for b in manifest.artifacts
            for note in b.requires.notes
        ),
    )


def _best_known(manifest: Manifest) -> Artifact:
    """The first file of ours, which says most; else the first."""
    artifacts = [bundled.artifact for bundled in manifest.artifacts]
    return next((artifact for artifact in artifacts if not artifact.foreign), artifacts[0])


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
        artifact=_best_known(manifest),
        foreign=foreign_names(bundled.artifact for bundled in manifest.artifacts),
        calibrations=[b.artifact.calibration for b in manifest.artifacts if b.artifact.calibration],
        files=table_of(_FILES, manifest.artifacts, names=4),
        accuracy=_quoted(_ACCURACY, manifest, evidence, EVALUATE),
        parity=_quoted(_PARITY, manifest, evidence, VERIFY),
        latency=_quoted(_LATENCY, manifest, evidence, BENCHMARK, names=2),
        answers=table_of(_ANSWERS, checks, names=2),
    )


def _quoted(
    columns: Columns[_Quote],
    manifest: Manifest,
    evidence: Sequence[Evidence],
    kind: str,
    *,
    names: int = 1,
) -> str:
    """What reports of one kind say of each model, known to them by the name of its file."""
    quotes = [
        _Quote(bundled.artifact.path, report, row)
        for bundled in manifest.artifacts
        for report in evidence
        if report.kind == kind
        for row in report.rows(bundled.source_name, bundled.source_sha256)
        if kind != VERIFY or "metrics" in row  # the reference has none
    ]
    return table_of(columns, quotes, names=names) if quotes else ""
