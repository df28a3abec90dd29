"""What may reach a phone, and what must not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import calibration
from vggexport.artifact import Artifact
from vggexport.bundles.evidence import Evidence
from vggexport.errors import Advice, ArtifactError, ForeignError, InputError
from vggexport.formats.registry import format_of, load_inspector, load_weight_reader
from vggexport.network.preprocessing import CHOICES
from vggexport.opening.network import TELL_PREPROCESSING
from vggexport.opening.same_network import check_same
from vggexport.opening.sidecars import WRITE_BOTH, stale_sidecar
from vggexport.results.build import TensorDescription


@dataclass(frozen=True, slots=True)
class Model:
    """A model file that was handed in, with size and digest, and what it takes and gives."""

    artifact: Artifact
    path: Path
    input: TensorDescription
    output: TensorDescription


def read_model(path: Path) -> Model:
    """What a model file says of itself, or of one of another converter what its graph shows.

    Raises:
        ArtifactError: It cannot be read, is not one that runs here, or is not what the
            description beside it tells.
        Unavailable: A package that reads its format is not installed.
    """
    if path.name in {"", ".."}:  # a model has its name in a bundle, and "." has none
        path = path.resolve()
    name = format_of(path)
    try:
        weights = load_weight_reader(name)(path)
    except ForeignError:
        return _read_foreign(path, name)
    artifact = weights.artifact.located(path)
    if stale := stale_sidecar(path, artifact.sha256 or ""):
        raise ArtifactError(stale, WRITE_BOTH)
    return Model(artifact, path, weights.input, weights.output)


def _read_foreign(path: Path, name: str) -> Model:
    inspection = load_inspector(name)(path)
    if inspection.recognized is None:
        raise ArtifactError(inspection.refusal)
    (source,), (output,) = inspection.inputs, inspection.outputs
    return Model(inspection.recognized.located(path), path, source, output)


def read_evidence(paths: Sequence[Path]) -> list[Evidence]:
    """Reports that are handed over with the models.

    Raises:
        InputError: One cannot be read, or two have one name.
    """
    names = [path.name for path in paths]
    if len(set(names)) != len(names):
        raise InputError("two reports have one name, and a bundle has one folder for them: rename")
    return [Evidence.read(path) for path in paths]


def check_evidence(models: Sequence[Model], evidence: Sequence[Evidence]) -> None:
    """Refuses reports on other files.

    Raises:
        InputError: One says nothing of the models, or speaks of other bytes.
    """
    for report in evidence:
        named = [model for model in models if report.rows(model.path.name)]
        if not named:
            names = ", ".join(model.path.name for model in models)
            raise InputError(
                f"report {report.path} says nothing of {names}: name reports on the files that are "
                "bundled"
            )
        for model in named:
            _check_same_bytes(model, report)


def _check_same_bytes(model: Model, report: Evidence) -> None:
    name, digest = model.path.name, model.artifact.sha256
    if report.rows(name, digest):
        return
    other = report.rows(name)[0]["sha256"]
    raise InputError(
        f"report {report.path} speaks of another {name}, of SHA-256 {other}, and the one to be "
        f"bundled has {digest}: run it again on that file"
    )


def unproved(models: Sequence[Model], evidence: Sequence[Evidence]) -> Iterator[tuple[str, str]]:
    """Reports that do not say of which bytes of a model their figures are, with its name."""
    for report in evidence:
        for name in (model.path.name for model in models):
            if not report.proves(name):
                yield report.path.name, name


def check_releasable(
    models: Sequence[Model],
    *,
    allow_untrained: bool,
    allow_one_class: bool,
    preprocessing: str | None = None,
) -> None:
    """Refuses what must not be released, all reasons at once.

    ``allow_untrained`` lets random weights and synthetic calibration pass, ``allow_one_class``
    calibration on images of one class; ``preprocessing`` names the one that models must record,
    None any that is known.

    Raises:
        ArtifactError: Models are of different networks, weights or labels.
        InputError: Untrained weights, or calibration on synthetic images or on one class, which
            nobody allowed; another preprocessing, or one that was assumed.
    """
    first = models[0]
    for other in models[1:]:
        _check_same(first.artifact, other.artifact)
    if len({model.path.name for model in models}) != len(models):
        raise InputError("two models have one name, and a bundle has one folder for them: rename")
    _check_preprocessing(models, preprocessing)
    reasons = [reason for model in models for reason in _untrained(model.artifact)]
    if reasons and not allow_untrained:
        raise InputError(
            f"{'; '.join(reasons)}: not to be released",
            Advice("pass {} to try a pipeline", "allow_untrained"),
        )
    if not allow_one_class:
        _check_classes(models)


def _check_classes(models: Sequence[Model]) -> None:
    for model in models:
        record = model.artifact.calibration
        if record and record.one_class:
            raise InputError(
                f"{model.path} was calibrated on {record.source}, images of one class to its "
                "network: what others need is not known from them",
                Advice(
                    "export it again and use {} for images of all classes",
                    "calibration_data",
                    command="export",
                ),
                Advice("pass {} if it will see that one mostly", "allow_one_class"),
            )


def _check_preprocessing(models: Sequence[Model], stated: str | None) -> None:
    for model in models:
        preprocessing = model.artifact.preprocessing
        recorded = preprocessing.name if preprocessing else "no preprocessing"
        if stated not in (None, recorded):
            raise InputError(
                f"{model.path} records {recorded}, not {stated}: which one it is was settled when "
                "it was exported"
            )
        pruning = model.artifact.weights.pruning if model.artifact.weights else None
        if pruning and pruning.preprocessing and not pruning.preprocessing.known:
            raise InputError(
                f"{model.path}: what happens to pixels before {pruning.source}, which it was "
                f"pruned from, was assumed ({pruning.preprocessing.name})",
                Advice(
                    f"prune it again and use {{}} to state what training did: {CHOICES}",
                    "preprocessing",
                    command="prune",
                ),
                *TELL_PREPROCESSING,
            )
        if preprocessing and not preprocessing.known:
            raise InputError(
                f"{model.path}: what happens to pixels before its network was assumed "
                f"({preprocessing.name})",
                Advice(
                    f"export it again and use {{}} to state what training did: {CHOICES}",
                    "preprocessing",
                    command="export",
                ),
                *TELL_PREPROCESSING,
            )


def _check_same(first: Artifact, other: Artifact) -> None:
    check_same(first, other, fix="bundle those of one training, exported with one list of labels")
    if first.labels != other.labels:
        named, unnamed = (first, other) if first.labels else (other, first)
        raise ArtifactError(
            f"{named.path} and {unnamed.path} have different labels: {unnamed.path} has none; "
            "export them with one list"
        )


def _untrained(artifact: Artifact) -> Iterator[str]:
    if not artifact.weights.trained:
        yield f"{artifact.path} has untrained weights ({artifact.weights.source})"
    record = artifact.calibration
    if record and record.source == calibration.SYNTHETIC:
        yield f"{artifact.path} was calibrated on synthetic images"
