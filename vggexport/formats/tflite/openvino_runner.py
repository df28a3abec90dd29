"""TFLite files in OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.formats.openvino_runner import OpenVinoRunner, ReadableLayer
from vggexport.formats.tflite.file_reader import TfliteFile


class TfliteOpenVinoRunner(OpenVinoRunner):
    """A ``.tflite`` file in OpenVINO, which drops the names of most tensors: no layers are read."""

    def describe(self, path: Path) -> tuple[Artifact | None, Mapping[str, ReadableLayer]]:
        """Its metadata, and no layers."""
        return TfliteFile(path).artifact(), {}
