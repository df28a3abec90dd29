"""What each format is written, run, read back and inspected by, as strings that import nothing."""

from __future__ import annotations

from collections.abc import Mapping

from vggexport.precision import Precision

EXPORTERS: Mapping[str, str] = {
    "onnx": "vggexport.formats.onnx.exporter:OnnxExporter",
    "savedmodel": "vggexport.formats.saved_model.exporter:SavedModelExporter",
    "tflite": "vggexport.formats.tflite.exporter:TfliteExporter",
}

PRECISIONS: Mapping[str, tuple[Precision, ...]] = {
    "onnx": (Precision.FLOAT32, Precision.FLOAT16, Precision.INT8, Precision.INT8_W4),
    "savedmodel": (Precision.FLOAT32,),
    "tflite": tuple(Precision),
}
"""What each format is written in."""

RUNNERS: Mapping[str, str] = {
    "keras": "vggexport.formats.keras.runner:KerasRunner",
    "onnx": "vggexport.formats.onnx.runner:OnnxRunner",
    "savedmodel": "vggexport.formats.saved_model.runner:SavedModelRunner",
    "tflite": "vggexport.formats.tflite.runner:TfliteRunner",
}

WEIGHT_READERS: Mapping[str, str] = {
    "onnx": "vggexport.formats.onnx.weight_reader:OnnxWeights",
    "savedmodel": "vggexport.formats.saved_model.weight_reader:SavedModelWeights",
    "tflite": "vggexport.formats.tflite.weight_reader:TfliteWeights",
}
"""By format: a class whose objects, made from a path, are ``ModelWeights``: what the operators of a
file compute with, whatever their names say."""

INSPECTORS: Mapping[str, str] = {
    "onnx": "vggexport.formats.onnx.inspector:inspect_onnx",
    "savedmodel": "vggexport.formats.saved_model.inspector:inspect_saved_model",
    "tflite": "vggexport.formats.tflite.inspector:inspect_tflite",
}
