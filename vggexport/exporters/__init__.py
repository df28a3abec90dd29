"""One room a format. The registry names them as strings, so that looking one up imports nothing."""

from __future__ import annotations

from collections.abc import Mapping

EXPORTERS: Mapping[str, str] = {"onnx": "vggexport.exporters.onnx.exporter:OnnxExporter"}
