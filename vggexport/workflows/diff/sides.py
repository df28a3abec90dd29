"""The two sides of a comparison: a model, or a bundle with its reports."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.bundles import files as bundle_files
from vggexport.bundles.evidence import Evidence
from vggexport.bundles.integrity import check_integrity
from vggexport.bundles.release_checks import read_model
from vggexport.errors import ArtifactError
from vggexport.results.bundle_manifest import BundledArtifact, Manifest
from vggexport.system.output_files import temporary_folder


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """A model of one side, with the name that reports know it by."""

    artifact: Artifact
    path: Path
    name: str

    @property
    def kind(self) -> tuple[str, ...]:
        """What has to be the same in two models of which one became the other."""
        artifact = self.artifact
        return artifact.format, artifact.profile.name, artifact.input_dtype


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two."""

    models: tuple[ComparedModel, ...]
    evidence: tuple[Evidence, ...] = ()
    manifest: Manifest | None = None


def open_side(entered: ExitStack, path: Path) -> Side:
    """Opens a model or a bundle; what was unpacked is gone at the end of what was entered.

    Raises:
        ArtifactError: It cannot be read, or its files do not agree with its own list of digests.
    """
    if not bundle_files.is_bundle(path):
        model = read_model(path)
        return Side((ComparedModel(model.artifact, path, path.name),))
    packed = bundle_files.open_bundle(path)
    integrity = check_integrity(packed)
    if problems := integrity.problems:
        raise ArtifactError(f"bundle {path} is refused: {'; '.join(problems)}")
    files = bundle_files.CheckedFiles(packed, integrity.digests)
    manifest = bundle_files.read_manifest(files)
    folder = entered.enter_context(temporary_folder())
    models = tuple(
        _unpack(files, bundled, manifest.labels, folder) for bundled in manifest.artifacts
    )
    evidence = tuple(_evidence(files, name) for name in manifest.reports)
    return Side(models, evidence, manifest)


def _unpack(
    files: bundle_files.BundleFiles, bundled: BundledArtifact, labels: tuple[str, ...], folder: Path
) -> ComparedModel:
    """A model, whose classes are called what the bundle calls them."""
    path = bundle_files.unpack_model(files, bundled, folder)
    artifact = replace(bundled.artifact, labels=labels)
    return ComparedModel(artifact, path, bundled.source_name)


def _evidence(files: bundle_files.BundleFiles, name: str) -> Evidence:
    try:
        return Evidence.of(Path(name), bundle_files.read_object(files, name))
    except ValueError as error:
        raise ArtifactError(f"{files.path}: {name} is not a report: {error}") from error
