"""The TFLite exporter: architecture, weights and metadata into one file."""

from __future__ import annotations

from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.tflite.architecture import build_graph
from vggexport.formats.tflite.bound_weights import bind
from vggexport.formats.tflite.file_writer import write_model
from vggexport.formats.tflite.metadata import append_labels, metadata_buffers
from vggexport.quantization.int4 import check_divides


class TfliteExporter:
    """Writes ``.tflite`` files."""

    def export(self, request: ExportRequest, path: Path) -> None:
        """Writes one file, with a pass over the weights and one of them in memory at a time.

        Raises:
            InputError: A precision that needs ranges has none, or the network does not fit it.
            OutputError: The file would be too large for a flatbuffer.
            OSError: The file system's errors, as they are.
        """
        artifact = request.artifact
        activations = request.activations()
        _check(artifact)
        graph = build_graph(artifact, activations)
        with path.open("w+b") as file:
            write_model(
                file,
                graph,
                bind(artifact, request.corrected_weights, activations),
                description=request.description,
                metadata=metadata_buffers(artifact, graph.operators),
            )
        append_labels(path, artifact.output_labels)


def _check(artifact: Artifact) -> None:
    artifact.profile.check_takes(artifact.input_dtype)
    if artifact.profile.int4_blocks:
        check_divides(artifact.spec)
