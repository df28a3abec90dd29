"""What each kind of layer is in ONNX: operators that the converter makes of it, and ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import onnx
from onnx import helper

from vggexport.network.layers import MEAN_SUBTRACTION_NAME, Layer, LayerKind

NCHW_NAME = f"{MEAN_SUBTRACTION_NAME}/nchw"
MEAN_NAME = f"{MEAN_SUBTRACTION_NAME}/mean_rgb"

FLAT_SUFFIX = "/flat"
"""Ends the name of what a global pooling gives without its one position."""

_NCHW_FROM_NHWC = (0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class TracedLayer:
    """One layer of the spec and the operators that the converter made of it.

    ``input_shape`` is that of one image's value that it reads, HWC or (units,).
    """

    layer: Layer
    nodes: tuple[onnx.NodeProto, ...]
    input_shape: tuple[int, ...]


Nodes = Callable[[TracedLayer, str, str], Iterator[onnx.NodeProto]]
"""The operators of a layer without its ReLU, from the tensor that it reads and the one that they
compute. The last operator computes what the next layer reads."""


@dataclass(frozen=True, slots=True)
class OnnxKind:
    """One kind of layer.

    Attributes:
        traced: What the converter makes of it, apart from operators that only move values and from
            the ReLU of layers that have one.
        nodes: What our files have.
    """

    traced: tuple[str, ...]
    nodes: Nodes


def _mean_subtraction(traced: TracedLayer, source: str, output: str) -> Iterator[onnx.NodeProto]:
    yield helper.make_node("Sub", [source, MEAN_NAME], [output], traced.layer.name)
    yield helper.make_node("Transpose", [output], [NCHW_NAME], NCHW_NAME, perm=_NCHW_FROM_NHWC)


def _as_traced(traced: TracedLayer, source: str, output: str) -> Iterator[onnx.NodeProto]:
    """The converter's own operator, its attributes kept, between other tensors."""
    (node, *_) = traced.nodes
    inputs = [source, *(tensor.name for tensor in traced.layer.tensors)]
    clean = onnx.NodeProto(
        op_type=node.op_type, name=traced.layer.name, input=inputs, output=[output]
    )
    clean.attribute.extend(node.attribute)
    yield clean


def _flatten(traced: TracedLayer, source: str, output: str) -> Iterator[onnx.NodeProto]:
    yield helper.make_node("Flatten", [source], [output], traced.layer.name, axis=1)


def _global_average_pooling(
    traced: TracedLayer, source: str, output: str
) -> Iterator[onnx.NodeProto]:
    yield helper.make_node("GlobalAveragePool", [source], [output], traced.layer.name)
    yield _without_positions(traced.layer, output)


def _global_max_pooling(traced: TracedLayer, source: str, output: str) -> Iterator[onnx.NodeProto]:
    """A MaxPool over the whole map: a GlobalMaxPool takes no integers."""
    window = {"kernel_shape": traced.input_shape[:2], "strides": (1, 1)}
    yield helper.make_node("MaxPool", [source], [output], traced.layer.name, **window)
    yield _without_positions(traced.layer, output)


def _without_positions(layer: Layer, pooled: str) -> onnx.NodeProto:
    """(images, channels) from (images, channels, 1, 1)."""
    flat = f"{layer.name}{FLAT_SUFFIX}"
    return helper.make_node("Flatten", [pooled], [flat], flat, axis=1)


def _fully_connected(traced: TracedLayer, source: str, output: str) -> Iterator[onnx.NodeProto]:
    inputs = [source, *(tensor.name for tensor in traced.layer.tensors)]
    yield helper.make_node("Gemm", inputs, [output], traced.layer.name)


KINDS: Mapping[LayerKind, OnnxKind] = {
    LayerKind.MEAN_SUBTRACTION: OnnxKind(("Sub",), _mean_subtraction),
    LayerKind.CONVOLUTION: OnnxKind(("Conv",), _as_traced),
    LayerKind.MAX_POOLING: OnnxKind(("MaxPool",), _as_traced),
    LayerKind.FLATTEN: OnnxKind((), _flatten),
    LayerKind.GLOBAL_AVERAGE_POOLING: OnnxKind(("GlobalAveragePool",), _global_average_pooling),
    LayerKind.GLOBAL_MAX_POOLING: OnnxKind(("GlobalMaxPool",), _global_max_pooling),
    LayerKind.FULLY_CONNECTED: OnnxKind(("MatMul", "Add"), _fully_connected),
    LayerKind.SOFTMAX: OnnxKind(("Softmax",), _as_traced),
    LayerKind.SIGMOID: OnnxKind(("Sigmoid",), _as_traced),
}


def traced_operators(layer: Layer) -> tuple[str, ...]:
    """Types of the operators that the converter makes of a layer, in order.

    The bias of a convolution of one channel stays an operator of its own.
    """
    is_one_channel = layer.kind is LayerKind.CONVOLUTION and layer.kernel.shape[-1] == 1
    bias = ("Add",) if is_one_channel else ()
    return KINDS[layer.kind].traced + bias + (("Relu",) if layer.relu else ())


def layer_nodes(traced: TracedLayer, source: str) -> Iterator[onnx.NodeProto]:
    """The operators of a layer in our files, behind the tensor ``source``."""
    layer = traced.layer
    if not layer.relu:
        yield from KINDS[layer.kind].nodes(traced, source, layer.name)
        return
    before = f"{layer.name}/preactivation"
    yield from KINDS[layer.kind].nodes(traced, source, before)
    yield helper.make_node("Relu", [before], [layer.name], f"{layer.name}/relu")
