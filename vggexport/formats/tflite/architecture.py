"""The network as a TFLite graph, built along the walk of the spec in the precision asked for.

TensorFlow's converter is not needed for it: every layer of the walk is one TFLite operator, and the
converter would allocate what this avoids (5.8 GiB for VGG-D). The file is held to the Keras network
when it is checked.

What a layer with weights computes in is its :class:`Scheme`; where two neighbours differ, a
conversion goes between them.
"""

from __future__ import annotations

from collections.abc import Mapping

from vggexport.artifact import Artifact
from vggexport.formats.tflite.graph import Graph
from vggexport.formats.tflite.growing_graph import GrowingGraph
from vggexport.formats.tflite.layer_kinds import KINDS
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
