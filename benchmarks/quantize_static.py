"""ONNX Runtime's own static quantization of a float32 file, as the alternative to ours.

    python -m benchmarks.quantize_static FLOAT32.onnx IMAGES OUT.onnx [--per-channel]

Its defaults, or per channel; min-max over the same images in the same order as ``vggexport onnx
--quantize`` takes them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import calibration


class Images(CalibrationDataReader):  # type: ignore[misc]
    """The calibration images, one at a time."""

    def __init__(self, folder: str, samples: int) -> None:
        source = calibration.open_source(folder, size=224, seed=0, samples=samples)
        self._images: Iterator[Any] = iter(calibration.CalibrationImages(source, samples, seed=0))

    def get_next(self) -> dict[str, Any] | None:
        """The next input, or None."""
        image = next(self._images, None)
        if image is None:
            return None
        return {"images": image.pixels[np.newaxis].astype(np.float32)}


def quantize(float32: Path, images: str, output: Path, samples: int, *, per_channel: bool) -> None:
    """Pre-processes and quantizes one file."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(float32), str(prepared))
        quantize_static(
            str(prepared),
            str(output),
            Images(images, samples),
            per_channel=per_channel,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )


def main() -> None:
    """Quantizes one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("float32", type=Path)
    parser.add_argument("images")
    parser.add_argument("output", type=Path)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--per-channel", action="store_true")
    options = parser.parse_args()
    quantize(
        options.float32,
        options.images,
        options.output,
        options.samples,
        per_channel=options.per_channel,
    )


if __name__ == "__main__":
    main()
