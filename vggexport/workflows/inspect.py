"""What a model file holds."""

from __future__ import annotations

from pathlib import Path

from vggexport.artifact import format_of
from vggexport.formats.registry import INSPECTORS
from vggexport.results.build import Inspection
from vggexport.system import registry


def inspect(path: Path) -> Inspection:
    """Reads a model file's metadata, inputs, outputs, and the operators that its runtime runs.

    Raises:
        ArtifactError: The file is missing, damaged, or of no known format.
        Unavailable: A package that reads the format is not installed.
    """
    inspection: Inspection = registry.load(INSPECTORS, format_of(path))(path)
    return inspection
