"""What a model file holds."""

from __future__ import annotations

from pathlib import Path

from vggexport.formats.registry import format_of, load_inspector
from vggexport.results.build import Inspection


def inspect(path: Path | str) -> Inspection:
    """Reads a model file's metadata, inputs, outputs, and the operators that its runtime runs.

    Raises:
        ArtifactError: The file is missing, damaged, or of no known format.
        Unavailable: A package that reads the format is not installed.
    """
    path = Path(path)
    return load_inspector(format_of(path))(path)
