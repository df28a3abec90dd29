"""What a model file holds and how a runtime would run it: one file a format."""

from __future__ import annotations

from collections.abc import Mapping

INSPECTORS: Mapping[str, str] = {"onnx": "vggexport.inspectors.onnx:inspect_onnx"}

FORMATS: Mapping[str, str] = {".onnx": "onnx"}
"""Formats by the suffix of a file."""
