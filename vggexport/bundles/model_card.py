"""The texts of a bundle for people: its model card, and the receiver's guide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from calibration import PictureOptions
from vggexport import __version__
from vggexport.artifact import Artifact
from vggexport.bundles import card_figures
from vggexport.bundles.archive import FIRST_MOMENT
from vggexport.bundles.card_figures import SHOWN_CLASSES
from vggexport.bundles.evidence import Evidence
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

_FILES: Columns[BundledArtifact] = {
    "file": lambda b: code(b.artifact.path),
    "format": lambda b: b.artifact.format,
    "precision": lambda b: b.artifact.numbers,
    "SHA-256": lambda b: code(b.artifact.sha256 or ""),
    "size": lambda b: f"{(b.artifact.size_bytes or 0) / MEGA:.1f} MB",
    "needs at least": lambda b: b.requires.words,
}

_ANSWERS: Columns[AnswerCheck] = {
    "file": lambda check: code(check.path),
    "runtime": lambda check: escaped(check.runtime),
    "logit SQNR": lambda check: (
        "its own reference" if check.is_reference else decibels(check.metrics.logit_sqnr_db)
    ),
    "best class the same": lambda check: share(check.metrics.top1_agreement),
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
        saturates=any(map(_saturates, manifest.artifacts)),
        mapped=[f'"{name}"' for name in ("tflite", "onnx", "ort") if name in formats],
        files=table_of(_FILES, manifest.artifacts, names=4),
        notes=_notes(manifest),
    )


def _saturates(bundled: BundledArtifact) -> bool:
    """Whether ONNX Runtime may add in 16 bits, as it may any file of another converter."""
    artifact = bundled.artifact
    may_be_integers = artifact.foreign or not artifact.profile.is_float
    return FORMATS[artifact.format].runtime().package == "onnxruntime" and bool(may_be_integers)


def _notes(manifest: Manifest) -> list[str]:
    """What files will not do everywhere, each once."""
    told = (
        f"{code(b.artifact.path)}: {note}" for b in manifest.artifacts for note in b.requires.notes
    )
    return list(dict.fromkeys(told))


def _best_known(manifest: Manifest) -> Artifact:
    """The first file of ours, which says most; else the first."""
    artifacts = [bundled.artifact for bundled in manifest.artifacts]
    return next((artifact for artifact in artifacts if not artifact.foreign), artifacts[0])


def model_card(
    manifest: Manifest, evidence: Sequence[Evidence], checks: Sequence[AnswerCheck]
) -> str:
    """What the models are, how good and how fast, and whose."""
    return _TEMPLATES.get_template("MODEL_CARD.md.j2").render(
        manifest=manifest,
        artifact=_best_known(manifest),
        foreign=foreign_names(bundled.artifact for bundled in manifest.artifacts),
        calibrations=[b.artifact.calibration for b in manifest.artifacts if b.artifact.calibration],
        files=table_of(_FILES, manifest.artifacts, names=4),
        accuracy=card_figures.accuracy(manifest, evidence),
        parity=card_figures.parity(manifest, evidence),
        latency=card_figures.latency(manifest, evidence),
        answers=table_of(_ANSWERS, checks, names=2),
        has_own_reference=any(check.is_reference for check in checks),
        shown_classes=SHOWN_CLASSES,
        packed=_day(manifest.moment),
        notes=_notes(manifest),
    )


def _day(moment: int) -> str:
    """Of the files, where it was stated."""
    return "" if moment == FIRST_MOMENT else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"
