"""One room a format. The registry names them as strings, so that looking one up imports nothing."""

from __future__ import annotations

from collections.abc import Mapping

from vggexport.spec import Precision

EXPORTERS: Mapping[str, str] = {
    "onnx": "vggexport.exporters.onnx.exporter:OnnxExporter",
    "savedmodel": "vggexport.exporters.saved_model:SavedModelExporter",
    "tflite": "vggexport.exporters.tflite.exporter:TfliteExporter",
}

PRECISIONS: Mapping[str, tuple[Precision, ...]] = {
    "onnx": (Precision.FLOAT32, Precision.FLOAT16, Precision.INT8, Precision.INT8_W4),
    "savedmodel": (Precision.FLOAT32,),
    "tflite": tuple(Precision),
}
"""What each format is written in."""
