"""What a model file holds."""

from __future__ import annotations

from pathlib import Path

from vggexport import registry
from vggexport.errors import ArtifactError
from vggexport.inspectors import FORMATS, INSPECTORS
from vggexport.reports.results import Inspection


def inspect(path: Path) -> Inspection:
    """Reads a model file's metadata, inputs, outputs, and the operators that its runtime runs.

    Raises:
        ArtifactError: The file is missing, damaged, or of no known format.
        Unavailable: A package that reads the format is not installed.
    """
    if not path.exists():
        raise ArtifactError(f"{path} does not exist")
    if path.suffix not in FORMATS:
        raise ArtifactError(
            f"{path} is of no known format: expected a file that ends in {', '.join(FORMATS)}"
        )
    inspection: Inspection = registry.load(INSPECTORS, FORMATS[path.suffix])(path)
    return inspection
