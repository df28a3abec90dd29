"""An int8 file that is made to be measured, and goes again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import load_exporter, load_runner
from vggexport.metrics.parity import ParityMetrics, compare
from vggexport.network.layers import OUTPUT_NAME
from vggexport.opening.file_check import read
from vggexport.opening.network import Network
from vggexport.precision import Precision
from vggexport.quantization.ranges import ActivationRanges


def int8_parity(
    network: Network,
    ranges: ActivationRanges,
    images: NDArray[np.uint8],
    reference: NDArray[np.float32],
    folder: Path,
) -> ParityMetrics:
    """An int8 ONNX file with these ranges against float32.

    Args:
        network: The network.
        ranges: What makes the file.
        images: uint8 (images, height, width, 3).
        reference: float32's probabilities for them.
        folder: Where the file may be.
    """
    path = folder / "trial.onnx"
    artifact = network.artifact(path, "onnx", Precision.INT8)
    artifact = replace(artifact, calibration=ranges.calibration)
    try:
        load_exporter("onnx").export(ExportRequest(artifact, network.weights, ranges), path)
        with load_runner("onnx")(path) as runner:
            found = read(runner, images, [OUTPUT_NAME], 1)[OUTPUT_NAME]
        return compare(reference, found, network.spec.head_activation)
    finally:
        path.unlink(missing_ok=True)
