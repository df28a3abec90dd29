"""TFLite files in OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.formats.openvino_runner import OpenVinoRunner, ReadableLayer
from vggexport.formats.tflite.file_reader import TfliteFile
from vggexport.formats.tflite.foreign import read_foreign


class TfliteOpenVinoRunner(OpenVinoRunner):
    """A ``.tflite`` file in OpenVINO, which drops the names of most tensors: no layers are read."""

    def describe(self, path: Path) -> tuple[Artifact, Mapping[str, ReadableLayer]]:
        """Its metadata, and no layers."""
        file = TfliteFile(path)
        return file.artifact() or read_foreign(file)[0], {}
