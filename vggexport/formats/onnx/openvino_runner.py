"""ONNX files in OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.formats.onnx.mapped_file import OnnxFile
from vggexport.formats.onnx.tapped_copy import readable
from vggexport.formats.openvino_runner import OpenVinoRunner, ReadableLayer


class OnnxOpenVinoRunner(OpenVinoRunner):
    """An ``.onnx`` file in OpenVINO.

    Layers are read from float files alone: as outputs, those of integers would not be fused, and
    other numbers would be read than OpenVINO computes without being watched.
    """

    def describe(self, path: Path) -> tuple[Artifact | None, Mapping[str, ReadableLayer]]:
        """Its metadata, and its tensors by the names of layers."""
        artifact = OnnxFile(path).artifact()
        is_float = artifact is not None and artifact.profile.is_float
        return artifact, readable(artifact, ())[1] if is_float else {}
