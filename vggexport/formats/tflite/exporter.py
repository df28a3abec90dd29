"""The TFLite exporter: architecture, weights and metadata into one file.

TensorFlow's converter is not needed for it: every layer of the walk is one TFLite operator, and the
converter would allocate what this avoids (5.8 GiB for VGG-D). The file is held to the Keras network
when it is checked.

What a layer with weights computes in is its :class:`Scheme`; where two neighbours differ, a
conversion goes between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.tflite.bound_weights import bind
from vggexport.formats.tflite.file_writer import write_model
from vggexport.formats.tflite.graph import Graph
from vggexport.formats.tflite.growing_graph import GrowingGraph
from vggexport.formats.tflite.layer_kinds import KINDS
from vggexport.formats.tflite.metadata import append_labels, metadata_buffers
from vggexport.quantization.int4 import check_divides
from vggexport.quantization.int8 import ActivationQuantization


def build_graph(artifact: Artifact, activations: Mapping[str, ActivationQuantization]) -> Graph:
    """The graph of a file, its weights without values; activations are int8 parameters by layer.

    Returns:
        A graph from ``images`` to ``probabilities``. The tensor that a layer computes bears the
        layer's name; a conversion of it, the name and the data type.
    """
    network = GrowingGraph(artifact, activations)
    current = network.images()
    for layer in artifact.spec.layers:
        current = KINDS[layer.kind](network, layer, current)
    return network.graph


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
