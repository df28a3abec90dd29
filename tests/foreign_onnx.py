"""ONNX files as other converters write them, for tests and for benchmarks: built node by node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vggexport.network.layers import Layer, LayerKind
from vggexport.network.preprocessing import Preprocessing
from vggexport.network.spec import VGGSpec

Array = NDArray[Any]
_OIHW_FROM_HWIO = (3, 2, 0, 1)
_EPSILON = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a file is written.

    Attributes:
        batch: Images at a time, or a name for any number.
        batch_norm: Behind each convolution, its weights undone by it.
        softmax: Whether it ends in one, or gives logits.
        half: float16 throughout.
        uint8: Takes pixels of 0...255 and prepares them itself.
        channels_last: Takes NHWC and transposes it, as tf2onnx writes it.
        ranges: Smallest and largest value of layers' outputs and of "input", by name: what has
            some is rounded to 8 bits, and so are kernels.
        takes_integers: Leaves that rounding of the image to who feeds it.
        opset: Version of the operators.
        classes_name: Name of the output.
    """

    batch: int | str = "N"
    batch_norm: bool = False
    softmax: bool = True
    half: bool = False
    uint8: bool = False
    channels_last: bool = False
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    takes_integers: bool = False
    opset: int = 17
    classes_name: str = "output"


@dataclass(slots=True)
class _Graph:
    style: Style
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    top: str = "input"

    def add(self, kind: str, *arrays: Array, **attributes: Any) -> None:
        """An operator on what there is so far, and constants."""
        number = len(self.nodes)
        names = [f"{number}.{position}" for position in range(len(arrays))]
        dtype = np.float16 if self.style.half else np.float32
        for name, array in zip(names, arrays, strict=True):
            self.constants.append(numpy_helper.from_array(array.astype(dtype), name))
        self.nodes.append(
            helper.make_node(kind, [self.top, *names], [f"/{number}/{kind}_output_0"], **attributes)
        )
        self.top = f"/{number}/{kind}_output_0"

    def round_to_8_bits(self, layer: str) -> None:
        """What there is so far, where the layer's range is known."""
        if layer not in self.style.ranges:
            return
        low, high = self.style.ranges[layer]
        scale = (high - low) / 255
        names = f"{layer}/scale", f"{layer}/zero_point"
        for name, value in zip(names, (np.float32(scale), np.uint8(-low / scale)), strict=True):
            self.constants.append(numpy_helper.from_array(np.array(value), name))
        given = layer == "input" and self.style.takes_integers
        for kind in ("QuantizeLinear", "DequantizeLinear")[given:]:
            self.nodes.append(helper.make_node(kind, [self.top, *names], [f"{layer}/{kind}"]))
            self.top = f"{layer}/{kind}"


def torch_like(
    spec: VGGSpec, weights: Mapping[str, Array], preprocessing: Preprocessing, style: Style
) -> onnx.ModelProto:
    """A file as torch.onnx.export writes it: NCHW, names of its own, features flattened CHW.

    Args:
        spec: The network, which flattens its features.
        weights: Native weights of the network that takes ``preprocessing``, by name.
        preprocessing: What it wants of RGB 0...255; inside for ``uint8``.
        style: How it is written.
    """
    graph = _Graph(style)
    graph.round_to_8_bits("input")
    if style.channels_last:
        graph.add("Transpose", perm=[0, 3, 1, 2])
    if style.uint8:
        graph.add("Cast", to=TensorProto.FLOAT)
        graph.add("Sub", np.reshape(preprocessing.mean_rgb, (1, 3, 1, 1)))
        graph.add("Div", np.reshape(preprocessing.std_rgb, (1, 3, 1, 1)))
    for layer in spec.layers[1:]:
        _add(graph, spec, layer, weights)
        graph.round_to_8_bits(layer.name)
    kind = TensorProto.FLOAT16 if style.half else TensorProto.FLOAT
    graph.nodes[-1].output[0] = style.classes_name
    taken = TensorProto.UINT8 if style.uint8 or style.takes_integers else kind
    height, width = spec.input_size
    image = [height, width, 3] if style.channels_last else [3, height, width]
    ends = (
        helper.make_tensor_value_info("input", taken, [style.batch, *image]),
        helper.make_tensor_value_info(style.classes_name, kind, [style.batch, spec.classes]),
    )
    made = helper.make_graph(graph.nodes, "main_graph", ends[:1], ends[1:], graph.constants)
    opset = helper.make_opsetid("", style.opset)
    return helper.make_model(made, opset_imports=[opset], ir_version=8, producer_name="pytorch")


def _add(graph: _Graph, spec: VGGSpec, layer: Layer, weights: Mapping[str, Array]) -> None:
    match layer.kind:
        case LayerKind.CONVOLUTION:
            kernel, bias = _weights(graph.style, layer, weights)
            _convolution(graph, kernel, bias)
        case LayerKind.MAX_POOLING:
            graph.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
        case LayerKind.FLATTEN:
            graph.add("Flatten", axis=1)
        case LayerKind.FULLY_CONNECTED:
            kernel, bias = _weights(graph.style, layer, weights)
            if features := spec.flattened_in_front_of(layer):
                kernel = kernel.reshape(*features, -1).transpose(2, 0, 1, 3)
                kernel = kernel.reshape(-1, kernel.shape[-1])
            graph.add("Gemm", kernel.T, bias, transB=1)
            if layer.relu:
                graph.add("Relu")
        case LayerKind.SOFTMAX if graph.style.softmax:
            graph.add("Softmax", axis=-1)


def _weights(style: Style, layer: Layer, weights: Mapping[str, Array]) -> tuple[Array, Array]:
    """Kernel and bias, the kernel's values in steps of a 127th of the largest for integers."""
    kernel, bias = (weights[tensor.name] for tensor in layer.tensors)
    step = np.abs(kernel).max() / 127
    return (np.round(kernel / step) * step if style.ranges else kernel), bias


def _convolution(graph: _Graph, kernel: Array, bias: Array) -> None:
    """With a batch normalization the weights are those that it makes the given ones of."""
    margin = kernel.shape[0] // 2
    shape = {"kernel_shape": list(kernel.shape[:2]), "pads": [margin] * 4, "strides": [1, 1]}
    kernel = kernel.transpose(_OIHW_FROM_HWIO)
    if graph.style.batch_norm:
        random = np.random.default_rng(len(graph.nodes))
        gamma, variance = random.uniform(0.5, 2, (2, len(bias)))
        beta = random.normal(0, 1, len(bias))
        scale = gamma / np.sqrt(variance + _EPSILON)
        graph.add("Conv", kernel / scale[:, None, None, None], **shape)
        mean = (beta - bias) / scale
        graph.add("BatchNormalization", gamma, beta, mean, variance, epsilon=_EPSILON)
    else:
        graph.add("Conv", kernel, bias, **shape)
    graph.add("Relu")
