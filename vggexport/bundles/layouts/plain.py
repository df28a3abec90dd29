"""Models as they are, in one folder."""

from __future__ import annotations

from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.bundles.layouts.interface import PlacedModel, placed


def place(artifact: Artifact, path: Path, folder: Path) -> PlacedModel:
    """``models/<file>``."""
    return placed(artifact, path, f"models/{path.name}")
