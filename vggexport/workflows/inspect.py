"""What a model file holds."""

from __future__ import annotations

from pathlib import Path

from vggexport.formats.registry import format_of, load_inspector
from vggexport.opening.sidecars import WRITE_BOTH, stale_sidecar
from vggexport.results.build import Inspection
from vggexport.system.digests import sha256
from vggexport.system.progress import Progress


def inspect(path: Path | str, progress: Progress | None = None) -> Inspection:
    """Reads a model file's metadata, inputs, outputs, and the operators that its runtime runs.

    Args:
        path: The file, or SavedModel directory.
        progress: Who notes that the description beside it is that of another.

    Raises:
        ArtifactError: The file is missing, damaged, or of no known format.
        Unavailable: A package that reads the format is not installed.
    """
    path = Path(path)
    found = load_inspector(format_of(path))(path)
    digest = found.artifact and found.artifact.sha256
    if progress and (stale := stale_sidecar(path, digest or sha256(path))):
        progress.note(stale, WRITE_BOTH)
    return found
