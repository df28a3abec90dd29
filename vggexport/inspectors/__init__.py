"""What a model file holds and how a runtime would run it: one file a format."""

from __future__ import annotations

from collections.abc import Mapping

INSPECTORS: Mapping[str, str] = {
    "onnx": "vggexport.inspectors.onnx:inspect_onnx",
    "savedmodel": "vggexport.inspectors.saved_model:inspect_saved_model",
    "tflite": "vggexport.inspectors.tflite:inspect_tflite",
}
