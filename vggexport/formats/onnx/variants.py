"""Rewrites of the traced graph: input type and precision.

Each takes the float32 architecture and changes it in place, before any weight is bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vggexport.formats.onnx.layer_kinds import FLAT_SUFFIX, NCHW_NAME
from vggexport.network.layers import INPUT_NAME, LOGITS_NAME, MEAN_SUBTRACTION_NAME, Layer
from vggexport.precision import Precision
from vggexport.quantization.int4 import BLOCK_SIZE
from vggexport.quantization.int8 import ActivationQuantization

SCALES_SUFFIX = "/scales"
QUANTIZED_SUFFIX = "/quantized"
DEQUANTIZED_SUFFIX = "/dequantized"

BLOCKWISE_DOMAIN = "com.microsoft"
"""Of MatMulNBits: ONNX itself has int4 from opset 21 on, newer than what the converter writes."""

WIDE_OPSET = 21
"""First opset whose QuantizeLinear gives 16 bits. All other operators of our files mean the same in
it as in those that the converter writes."""


FLOATS: Mapping[Precision, type[np.floating]] = {
    Precision.FLOAT32: np.float32,
    Precision.FLOAT16: np.float16,
}
"""What weights are stored in, in precisions that compute in floats."""


def use_uint8_input(graph: onnx.GraphProto) -> None:
    """Takes the images as uint8 and casts them to float32 first."""
    images = next(value for value in graph.input if value.name == INPUT_NAME)
    images.type.tensor_type.elem_type = TensorProto.UINT8
    _cast(graph, INPUT_NAME, f"{INPUT_NAME}/float32", TensorProto.FLOAT)


def use_float(graph: onnx.GraphProto, dtype: type[np.floating]) -> None:
    """Stores weights and computes in such floats between the mean subtraction and the softmax.

    Pixels minus mean in float16 would lose a bit of the images, and a float16 softmax the
    small probabilities; both cost nothing in float32.
    """
    if dtype is np.float32:
        return
    name, data_type = np.dtype(dtype).name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    for value in graph.input:
        if value.name != INPUT_NAME:
            value.type.tensor_type.elem_type = data_type
    _cast(graph, NCHW_NAME, f"{NCHW_NAME}/{name}", data_type)
    _cast(graph, LOGITS_NAME, f"{LOGITS_NAME}/float32", TensorProto.FLOAT)


def use_opset(model: onnx.ModelProto, version: int) -> None:
    """Declares the operators to be those of another version."""
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", version))
    model.ir_version = helper.find_min_ir_version_for(model.opset_import)


def use_int8(
    graph: onnx.GraphProto,
    layers: Sequence[Layer],
    activations: Mapping[str, ActivationQuantization],
) -> None:
    """Puts QuantizeLinear and DequantizeLinear (QDQ) around convolutions and Gemms.

    The logits stay float: quantizing them gives the best classes one value when the calibration
    images were less certain than the images to come. ``layers`` are those to compute in integers,
    from the network's first on; ``activations`` holds parameters of the mean subtraction and of
    each hidden layer that computes, by layer name. Layers that keep values carry those of their
    input.
    """
    quantization = _activations_by_tensor(layers, activations)
    weighted = {layer.name: layer for layer in layers if layer.tensors}
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.name in weighted:
            graph.node.extend(_dequantize_weights(graph, node, weighted[node.name]))
        _rewire(node, {name: f"{name}{DEQUANTIZED_SUFFIX}" for name in quantization})
        graph.node.append(node)
        if (output := node.output[0]) in quantization:
            graph.node.extend(_quantize_activation(graph, output, quantization[output]))


def use_int4_blocks(graph: onnx.GraphProto, layers: Sequence[Layer]) -> None:
    """Makes the Gemms of fully connected layers block-wise int4 products (MatMulNBits).

    The first of them takes the features in HWC order, as in the native layout, so that its blocks
    are those of other formats: a transposition of some thousand values goes in front of it.
    Convolutions may be in int8 already.
    """
    weighted = {layer.name: layer for layer in layers}
    graph_inputs = {value.name: value for value in graph.input}
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.op_type == "Flatten" and not node.name.endswith(FLAT_SUFFIX):
            graph.node.append(_to_nhwc(node))
        if node.name in weighted:
            _declare_blocks(graph, graph_inputs[weighted[node.name].kernel.name])
            graph.node.extend(_blockwise_product(node, weighted[node.name]))
        else:
            graph.node.append(node)


def _to_nhwc(flatten: onnx.NodeProto) -> onnx.NodeProto:
    source = flatten.input[0]
    nhwc = f"{source.removesuffix(DEQUANTIZED_SUFFIX)}/nhwc"
    flatten.input[0] = nhwc
    return helper.make_node("Transpose", [source], [nhwc], nhwc, perm=[0, 2, 3, 1])


def _declare_blocks(graph: onnx.GraphProto, kernel: onnx.ValueInfoProto) -> None:
    """Gives a kernel's symbol the shape of packed blocks, and adds one for its scales."""
    inputs, outputs = (dim.dim_value for dim in kernel.type.tensor_type.shape.dim)
    blocks = (outputs, inputs // BLOCK_SIZE)
    kernel.CopyFrom(
        helper.make_tensor_value_info(kernel.name, TensorProto.UINT8, (*blocks, BLOCK_SIZE // 2))
    )
    graph.input.append(
        helper.make_tensor_value_info(f"{kernel.name}{SCALES_SUFFIX}", TensorProto.FLOAT, blocks)
    )


def _blockwise_product(gemm: onnx.NodeProto, layer: Layer) -> list[onnx.NodeProto]:
    inputs, outputs = layer.kernel.shape
    product = f"{layer.name}/product"
    kernel = layer.kernel.name
    return [
        helper.make_node(
            "MatMulNBits",
            [gemm.input[0], kernel, f"{kernel}{SCALES_SUFFIX}"],
            [product],
            layer.name,
            domain=BLOCKWISE_DOMAIN,
            K=inputs,
            N=outputs,
            bits=4,
            block_size=BLOCK_SIZE,
            accuracy_level=4,  # activations in int8 too, a scale a block
        ),
        helper.make_node("Add", [product, layer.bias.name], [gemm.output[0]], layer.bias.name),
    ]


def _activations_by_tensor(
    layers: Sequence[Layer], activations: Mapping[str, ActivationQuantization]
) -> dict[str, ActivationQuantization]:
    """Parameters of every tensor that an integer operator reads."""
    current = activations[MEAN_SUBTRACTION_NAME]
    by_tensor = {NCHW_NAME: current}
    for layer in layers[1:]:
        if layer.name == LOGITS_NAME:
            break
        if not layer.kind.keeps_values:
            current = activations[layer.name]
        by_tensor[layer.name] = by_tensor[f"{layer.name}{FLAT_SUFFIX}"] = current
    return by_tensor


def _quantize_activation(
    graph: onnx.GraphProto, name: str, parameters: ActivationQuantization
) -> list[onnx.NodeProto]:
    scale, zero_point = f"{name}/scale", f"{name}/zero_point"
    graph.initializer.append(numpy_helper.from_array(np.float32(parameters.scale), scale))
    integer = np.array(parameters.zero_point, parameters.dtype)
    graph.initializer.append(numpy_helper.from_array(integer, zero_point))
    quantized, dequantized = f"{name}{QUANTIZED_SUFFIX}", f"{name}{DEQUANTIZED_SUFFIX}"
    return [
        helper.make_node("QuantizeLinear", [name, scale, zero_point], [quantized], quantized),
        helper.make_node(
            "DequantizeLinear", [quantized, scale, zero_point], [dequantized], dequantized
        ),
    ]


def _dequantize_weights(
    graph: onnx.GraphProto, node: onnx.NodeProto, layer: Layer
) -> list[onnx.NodeProto]:
    """Makes the layer's symbols int8 and int32 with scales, and converts them for its operator."""
    inputs = {value.name: value for value in graph.input}
    outputs = layer.kernel.shape[-1]
    kernel_axis = 1 if layer.is_matrix else 0
    nodes = []
    for tensor, integer, axis in (
        (layer.kernel, TensorProto.INT8, kernel_axis),
        (layer.bias, TensorProto.INT32, 0),
    ):
        scales, dequantized = f"{tensor.name}{SCALES_SUFFIX}", f"{tensor.name}{DEQUANTIZED_SUFFIX}"
        inputs[tensor.name].type.tensor_type.elem_type = integer
        graph.input.append(helper.make_tensor_value_info(scales, TensorProto.FLOAT, [outputs]))
        parameters = [tensor.name, scales]
        if integer == TensorProto.INT8:  # optional by ONNX, but ONNX Runtime fuses no Gemm without
            zero_points = f"{tensor.name}/zero_points"
            parameters.append(zero_points)
            graph.initializer.append(
                numpy_helper.from_array(np.zeros(outputs, np.int8), zero_points)
            )
        nodes.append(
            helper.make_node("DequantizeLinear", parameters, [dequantized], dequantized, axis=axis)
        )
        _rewire(node, {tensor.name: dequantized})
    return nodes


def _cast(graph: onnx.GraphProto, name: str, cast_name: str, data_type: int) -> None:
    """Lets all consumers of a tensor read it in another type."""
    for node in graph.node:
        _rewire(node, {name: cast_name})
    position = next((i + 1 for i, node in enumerate(graph.node) if name in node.output), 0)
    graph.node.insert(
        position, helper.make_node("Cast", [name], [cast_name], cast_name, to=data_type)
    )


def _rewire(node: onnx.NodeProto, renamed: Mapping[str, str]) -> None:
    for index, name in enumerate(node.input):
        node.input[index] = renamed.get(name, name)
