"""ONNX files in OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.formats.onnx.foreign import read_foreign
from vggexport.formats.onnx.mapped_file import OnnxFile
from vggexport.formats.onnx.tapped_copy import readable
from vggexport.formats.openvino_runner import OpenVinoRunner, ReadableLayer


class OnnxOpenVinoRunner(OpenVinoRunner):
    """An ``.onnx`` file in OpenVINO.

    Layers are read from float files alone: as outputs, those of integers would not be fused, and
    other numbers would be read than OpenVINO computes without being watched.
    """

    def describe(self, path: Path) -> tuple[Artifact, Mapping[str, ReadableLayer]]:
        """Its metadata, and its tensors by the names of layers."""
        artifact = OnnxFile(path).artifact()
        if artifact is None:
            artifact, layers = read_foreign(path)
        else:
            layers = readable(artifact)[1]
        return artifact, layers if artifact.profile.is_float else {}
