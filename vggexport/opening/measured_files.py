"""ONNX files that are made to be measured, and go again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import load_exporter
from vggexport.opening.network import Network
from vggexport.precision import Precision
from vggexport.quantization.ranges import ActivationRanges


def write_onnx(network: Network, path: Path, ranges: ActivationRanges | None = None) -> None:
    """Writes the float32 file of a network; with ranges its int8 file."""
    artifact = network.artifact(path, "onnx", Precision.INT8 if ranges else Precision.FLOAT32)
    if ranges:
        artifact = replace(artifact, calibration=ranges.calibration)
    load_exporter("onnx").export(ExportRequest(artifact, network.weights, ranges), path)
