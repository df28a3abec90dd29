"""From the Keras model to a clean ONNX graph whose weights are symbols.

tf2onnx sees a graph of kilobytes: every weight is an input. What it gives still carries the
transpositions and reshapes of the kernels, biases and of the flattening. :func:`trace` reads the
data path out of it, checks it against the walk of the spec layer by layer, and keeps just Sub,
Transpose, Conv, Relu, MaxPool, Flatten, Gemm and Softmax, named by their layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import onnx
from onnx import helper, numpy_helper

from vggexport.errors import VggExportError
from vggexport.formats.onnx.converted_graphs import converted, symbol
from vggexport.formats.onnx.layer_kinds import MEAN_NAME, TracedLayer, layer_nodes, traced_operators
from vggexport.network.layers import INPUT_NAME, OUTPUT_NAME, Layer
from vggexport.network.spec import VGGSpec

DYNAMIC_BATCH = "batch"
MIN_OPSET = 13
"""First opset with per-channel QuantizeLinear and DequantizeLinear."""
MAX_OPSET = 18
"""Newest opset that tf2onnx 1.17 writes."""
DEFAULT_OPSET = 17

_PASSIVE = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Flatten"})
"""Operators that move values without changing them."""


class UnexpectedGraphError(VggExportError):
    """The converter gave a graph that is not the spec's: a defect, or an untested version."""


def trace(
    spec: VGGSpec, *, opset: int = DEFAULT_OPSET, batch: int | None = None
) -> onnx.ModelProto:
    """The network as an ONNX model of some kilobytes, its weights as further graph inputs.

    The opset is ``MIN_OPSET`` to ``MAX_OPSET``; a batch of None is any number of images.

    Returns:
        Inputs: ``images``, float32 NHWC, then every tensor of ``spec.tensors`` by its name with
        the shape that its operator takes: kernels of convolutions OIHW, of fully connected layers
        (inputs, outputs), fc1's inputs in CHW order. Output: ``probabilities``. The activation
        after each layer bears the layer's name.

    Raises:
        UnexpectedGraphError: The converter's graph does not match the spec.
    """
    found = converted(spec, opset)
    layers, images = list(_match(spec, found.graph)), batch or DYNAMIC_BATCH
    graph = helper.make_graph(
        list(_clean_nodes(layers)),
        f"vgg_{spec.configuration.lower()}",
        [_value(INPUT_NAME, (images, *spec.image_shape)), *_weight_inputs(spec)],
        [_value(OUTPUT_NAME, (images, spec.classes))],
        [numpy_helper.from_array(_traced_mean(layers[0], found.graph, spec), MEAN_NAME)],
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=found.ir_version,
        producer_name="vggexport",
    )


def _match(spec: VGGSpec, graph: onnx.GraphProto) -> Iterator[TracedLayer]:
    """The converter's operators, layer by layer."""
    sources = {output: node for node in graph.node for output in node.output}
    path = iter([node for node in _data_path(graph, sources) if node.op_type not in _PASSIVE])
    input_shape: tuple[int, ...] = spec.image_shape
    for layer in spec.layers:
        expected = traced_operators(layer)
        nodes = tuple(islice(path, len(expected)))
        found = tuple(node.op_type for node in nodes)
        if found != expected:
            raise UnexpectedGraphError(f"layer {layer.name}: {expected} expected, got {found}")
        _check_weights(layer, nodes, sources)
        yield TracedLayer(layer, nodes, input_shape)
        input_shape = layer.output_shape
    if rest := [node.op_type for node in path]:
        raise UnexpectedGraphError(f"operators after the last layer: {rest}")


def _data_path(graph: onnx.GraphProto, sources: dict[str, onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The operators from the images to the output, in order."""
    path: list[onnx.NodeProto] = []
    name = graph.output[0].name
    while name in sources:
        node = sources[name]
        path.append(node)
        name = node.input[0]
    if name.removesuffix(":0") != INPUT_NAME:
        raise UnexpectedGraphError(f"the data path begins at {name!r}, not at the images")
    return path[::-1]


def _check_weights(
    layer: Layer, nodes: tuple[onnx.NodeProto, ...], sources: dict[str, onnx.NodeProto]
) -> None:
    """Each weight of the layer reaches its operators through value-moving operators alone."""
    if not layer.tensors:
        return
    symbols = set()
    for name in (name for node in nodes for name in node.input[1:]):
        origin = name
        while origin in sources and sources[origin].op_type in _PASSIVE:
            origin = sources[origin].input[0]
        symbols.add(origin.removesuffix(":0"))
    expected = {symbol(tensor.name) for tensor in layer.tensors}
    if symbols != expected:
        raise UnexpectedGraphError(f"layer {layer.name}: weights {expected}, got {symbols}")


def _traced_mean(traced: TracedLayer, graph: onnx.GraphProto, spec: VGGSpec) -> np.ndarray:
    """The constant that the traced Sub subtracts, float32 (3,)."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    mean: np.ndarray = numpy_helper.to_array(constants[traced.nodes[0].input[1]]).reshape(-1)
    if not np.array_equal(mean, np.asarray(spec.mean_rgb, np.float32)):
        raise UnexpectedGraphError(f"mean {mean} was traced, {spec.mean_rgb} is the spec's")
    return mean


def _clean_nodes(layers: list[TracedLayer]) -> Iterator[onnx.NodeProto]:
    """Every layer's operators with names of their own, weights entering as symbols."""
    source = INPUT_NAME
    for traced in layers:
        for node in layer_nodes(traced, source):
            yield node
            source = node.output[0]


def onnx_shape(tensor_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a weight in the ONNX graph, from its native one: HWIO becomes OIHW."""
    if len(tensor_shape) > len(("inputs", "outputs")):
        height, width, inputs, outputs = tensor_shape
        return outputs, inputs, height, width
    return tensor_shape


def _value(name: str, shape: tuple[int | str, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def _weight_inputs(spec: VGGSpec) -> list[onnx.ValueInfoProto]:
    return [
        _value(tensor.name, onnx_shape(tensor.shape))
        for layer in spec.weighted_layers
        for tensor in layer.tensors
    ]
