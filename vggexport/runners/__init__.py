"""One room a runtime, behind the one interface of ``vggexport.runners.interface``."""

from __future__ import annotations

from collections.abc import Mapping

RUNNERS: Mapping[str, str] = {
    "keras": "vggexport.runners.keras:KerasRunner",
    "onnx": "vggexport.runners.onnx:OnnxRunner",
    "savedmodel": "vggexport.runners.saved_model:SavedModelRunner",
    "tflite": "vggexport.runners.tflite:TfliteRunner",
}
