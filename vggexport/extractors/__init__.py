"""Weights read back out of model files, in one layout: one file a format.

What an extractor gives is what the operators of a file compute with, whatever their names say:
weights that are stale, or of another layer, are given as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

EXTRACTORS: Mapping[str, str] = {
    "onnx": "vggexport.extractors.onnx.weights:OnnxWeights",
    "savedmodel": "vggexport.extractors.saved_model:SavedModelWeights",
    "tflite": "vggexport.extractors.tflite:TfliteWeights",
}
"""By format: a class whose objects, made from a path, are ``vggexport.extractors.interface``'s."""
