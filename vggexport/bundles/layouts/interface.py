"""What every layout offers: a place in the bundle for each model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from vggexport.artifact import Artifact
from vggexport.errors import InputError
from vggexport.results.bundle_manifest import BundledArtifact
from vggexport.system.digests import files_of


@dataclass(frozen=True, slots=True)
class PlacedModel:
    """A model and where it goes.

    Attributes:
        artifact: What it is; its path is the one in the bundle.
        path: Where it is now.
        source_name: Name of the file or directory that was handed in.
        companions: Further files, by name in the bundle.
        converted_from: Digest of the file that it was made of, where it is not as it was exported.
    """

    artifact: Artifact
    path: Path
    source_name: str
    companions: Mapping[str, Path] = field(default_factory=dict)
    converted_from: str | None = None

    @property
    def model_files(self) -> dict[str, Path]:
        """The model's own files, by name in the bundle."""
        if not self.path.is_dir():
            return {self.artifact.path: self.path}
        return {
            f"{self.artifact.path}/{part.relative_to(self.path).as_posix()}": part
            for part in files_of(self.path)
        }

    @property
    def files(self) -> dict[str, Path]:
        """All files, by name in the bundle."""
        return self.model_files | dict(self.companions)

    @property
    def bundled(self) -> BundledArtifact:
        """What the manifest says of it."""
        return BundledArtifact(
            self.artifact, tuple(self.model_files), self.source_name, self.converted_from
        )


class Layout(Protocol):
    """Finds places for a model's files."""

    def __call__(self, artifact: Artifact, path: Path, folder: Path) -> PlacedModel:
        """Gives a model its place.

        Its size and digest are known; files that are made for it go to ``folder``, its own.

        Raises:
            InputError: The layout is for other formats.
        """
        ...


def placed(
    artifact: Artifact, path: Path, place: str, companions: Mapping[str, Path] | None = None
) -> PlacedModel:
    """A model as it is at a place in the bundle."""
    return PlacedModel(replace(artifact, path=place), path, path.name, companions or {})


def check_format(artifact: Artifact, layout: str, expected: str) -> None:
    """Refuses a model of another format.

    Raises:
        InputError: It is one.
    """
    if artifact.format != expected:
        raise InputError(
            f"layout {layout} takes {expected} models, and {artifact.path} is {artifact.format}: "
            "leave it out, or bundle it on its own"
        )


def plain(artifact: Artifact, path: Path, folder: Path) -> PlacedModel:
    """A :class:`Layout`: ``models/<file>``."""
    return placed(artifact, path, f"models/{path.name}")
