"""What each kind of layer is in TFLite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from vggexport.formats.tflite.graph import Blocks, Tensor
from vggexport.formats.tflite.growing_graph import GrowingGraph
from vggexport.formats.tflite.scheme import BLOCKWISE, DYNAMIC, Scheme, scheme
from vggexport.network.layers import MEAN_SUBTRACTION_NAME, OUTPUT_NAME, Layer, LayerKind
from vggexport.quantization.int4 import BLOCK_SIZE
from vggexport.quantization.int8 import ActivationQuantization

MEAN_NAME = f"{MEAN_SUBTRACTION_NAME}/mean_rgb"
BLOCK_SCALES_SUFFIX = "/scales"
_PROBABILITY = ActivationQuantization(1 / 256, -128)
"""The only parameters that TFLite's integer softmax and sigmoid have: 0...255/256 on -128...127."""


def _mean_subtraction(network: GrowingGraph, layer: Layer, source: Tensor) -> Tensor:
    mean = np.asarray(network.artifact.spec.mean_rgb, np.float32)
    options = schema.SubOptionsT()
    if not network.artifact.full_integer:
        source = network.converted(source, "float32")
        constant = Tensor(MEAN_NAME, "float32", mean.shape, data=mean)
        return network.operator("SUB", 1, [source, constant], layer, "float32", options)
    source = network.converted(source, "int8", ActivationQuantization(1.0, -128))
    integers, parameters = quantized_mean(mean)
    constant = Tensor(MEAN_NAME, "int8", mean.shape, parameters, data=integers)
    return network.operator("SUB", 2, [source, constant], layer, "int8", options)


def _weighted(network: GrowingGraph, layer: Layer, source: Tensor) -> Tensor:
    how = scheme(network.artifact, layer)
    source = network.converted(source, how.activation)
    kernel = _kernel(network, layer, how)
    bias = _bias(network, layer, how)
    if layer.is_matrix:
        operator, version = "FULLY_CONNECTED", how.fully_connected_version
    else:
        operator, version = "CONV_2D", how.convolution_version
    options = _options(layer, how)
    return network.operator(
        operator, version, [source, kernel, bias], layer, how.activation, options
    )


def _kernel(network: GrowingGraph, layer: Layer, how: Scheme) -> Tensor:
    *inputs, outputs = layer.kernel.shape
    shape = (outputs, *inputs)
    name = layer.kernel.name
    blocks = None
    if how is BLOCKWISE:
        blocks = Blocks(BLOCK_SIZE, f"{name}{BLOCK_SCALES_SUFFIX}")
        scales_shape = (outputs, prod(inputs) // BLOCK_SIZE)
        network.graph.add(Tensor(blocks.scales, "float16", scales_shape, is_weight=True))
    kernel = Tensor(
        name,
        how.kernel,
        shape,
        channels=outputs if how.kernel == "int8" else 0,
        blocks=blocks,
        is_weight=True,
    )
    return _float_weight(network, network.graph.add(kernel))


def _bias(network: GrowingGraph, layer: Layer, how: Scheme) -> Tensor:
    is_integer = how.bias in {"int32", "int64"}
    bias = Tensor(
        layer.bias.name,
        how.bias,
        layer.bias.shape,
        channels=layer.bias.size if is_integer else 0,
        is_weight=True,
    )
    return _float_weight(network, network.graph.add(bias))


def _float_weight(network: GrowingGraph, weight: Tensor) -> Tensor:
    """A float16 weight is converted where it is read: TFLite computes in float32."""
    if weight.dtype != "float16":
        return weight
    output = Tensor(f"{weight.name}/float32", "float32", weight.shape, is_static=True)
    return network.append("DEQUANTIZE", 3, [weight], output, schema.DequantizeOptionsT())


def _pooling(network: GrowingGraph, layer: Layer, source: Tensor) -> Tensor:
    options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.VALID
    options.filterHeight = options.filterWidth = layer.kernel_size
    options.strideH = options.strideW = layer.stride
    version = 2 if source.dtype == "int8" else 1
    return network.operator("MAX_POOL_2D", version, [source], layer, source.dtype, options)


def _flatten(network: GrowingGraph, layer: Layer, source: Tensor) -> Tensor:
    shape = np.asarray((network.graph.batch or -1, *layer.output_shape), np.int32)
    constant = Tensor(f"{layer.name}/shape", "int32", shape.shape, data=shape)
    options = schema.ReshapeOptionsT()
    options.newShape = shape.tolist()
    return network.operator("RESHAPE", 1, [source, constant], layer, source.dtype, options)


def _reduced(network: GrowingGraph, layer: Layer, source: Tensor, operator: str) -> Tensor:
    """One value for each channel, of all positions."""
    axes = np.asarray((1, 2), np.int32)
    constant = Tensor(f"{layer.name}/axes", "int32", axes.shape, data=axes)
    version = 2 if source.dtype == "int8" else 1
    inputs, options = [source, constant], schema.ReducerOptionsT()
    return network.operator(operator, version, inputs, layer, source.dtype, options)


def _softmax(network: GrowingGraph, layer: Layer, source: Tensor) -> Tensor:
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return _probabilities(network, layer, source, "SOFTMAX", options)


def _probabilities(
    network: GrowingGraph, layer: Layer, source: Tensor, operator: str, options: object
) -> Tensor:
    if not network.artifact.full_integer:
        source = network.converted(source, "float32")
        return network.operator(operator, 1, [source], layer, "float32", options)
    inner = Tensor(f"{OUTPUT_NAME}/int8", "int8", layer.output_shape, _PROBABILITY)
    network.append(operator, 2, [source], inner, options)
    outer = ActivationQuantization(_PROBABILITY.scale, 0)
    output = Tensor(OUTPUT_NAME, "uint8", layer.output_shape, outer)
    return network.append("QUANTIZE", 1, [inner], output, schema.QuantizeOptionsT())


def _options(layer: Layer, how: Scheme) -> object:
    functions = schema.ActivationFunctionType
    function = functions.RELU if layer.relu else functions.NONE
    if not layer.is_matrix:
        convolution = schema.Conv2DOptionsT()
        convolution.padding = schema.Padding.SAME
        convolution.strideH = convolution.strideW = layer.stride
        convolution.dilationHFactor = convolution.dilationWFactor = 1
        convolution.fusedActivationFunction = function
        return convolution
    fully_connected = schema.FullyConnectedOptionsT()
    fully_connected.fusedActivationFunction = function
    fully_connected.asymmetricQuantizeInputs = how in {DYNAMIC, BLOCKWISE}
    return fully_connected


def quantized_mean(mean: NDArray[np.float32]) -> tuple[NDArray[np.int8], ActivationQuantization]:
    """The mean in int8 at the scale, of those that reach its largest value, that rounds it least.

    Args:
        mean: float32 (3,), 0 or more.

    Returns:
        The integers and their parameters; for the paper's mean 0.03 of a pixel's 255 off at most.
    """
    scales = max(float(mean.max()), 1.0) / np.arange(128, 256)
    errors = np.abs(np.rint(mean / scales[:, None]) * scales[:, None] - mean).max(axis=1)
    scale = float(np.float32(scales[errors.argmin()]))
    return (np.rint(mean / scale) - 128).astype(np.int8), ActivationQuantization(scale, -128)


KINDS: Mapping[LayerKind, Callable[[GrowingGraph, Layer, Tensor], Tensor]] = {
    LayerKind.MEAN_SUBTRACTION: _mean_subtraction,
    LayerKind.CONVOLUTION: _weighted,
    LayerKind.MAX_POOLING: _pooling,
    LayerKind.FLATTEN: _flatten,
    LayerKind.GLOBAL_AVERAGE_POOLING: partial(_reduced, operator="MEAN"),
    LayerKind.GLOBAL_MAX_POOLING: partial(_reduced, operator="REDUCE_MAX"),
    LayerKind.FULLY_CONNECTED: _weighted,
    LayerKind.SOFTMAX: _softmax,
    LayerKind.SIGMOID: partial(_probabilities, operator="LOGISTIC", options=None),
}
"""Adds a layer after the tensor that it reads, and gives the one that it computes."""

SINCE: Mapping[tuple[str, int], tuple[int, int]] = {
    ("CAST", 1): (1, 5),
    ("CONV_2D", 1): (1, 5),
    ("CONV_2D", 3): (1, 14),
    ("CONV_2D", 5): (2, 4),
    ("DEQUANTIZE", 2): (1, 14),
    ("DEQUANTIZE", 3): (1, 15),
    ("FULLY_CONNECTED", 1): (1, 5),
    ("FULLY_CONNECTED", 4): (1, 14),
    ("FULLY_CONNECTED", 7): (2, 3),
    ("FULLY_CONNECTED", 12): (2, 17),
    ("FULLY_CONNECTED", 14): (2, 21),
    ("LOGISTIC", 1): (1, 14),
    ("LOGISTIC", 2): (1, 14),
    ("MAX_POOL_2D", 1): (1, 5),
    ("MAX_POOL_2D", 2): (1, 14),
    ("MEAN", 1): (1, 6),
    ("MEAN", 2): (1, 14),
    ("QUANTIZE", 1): (1, 14),
    ("QUANTIZE", 2): (1, 15),
    ("REDUCE_MAX", 1): (1, 11),
    ("REDUCE_MAX", 2): (1, 14),
    ("RESHAPE", 1): (1, 5),
    ("SOFTMAX", 1): (1, 5),
    ("SOFTMAX", 2): (1, 14),
    ("SUB", 1): (1, 6),
    ("SUB", 2): (1, 14),
}
"""The first TensorFlow whose TFLite knows an operator in a version, of those that are written here
(TensorFlow's ``runtime_version.cc``, ``FindMinimumRuntimeVersionForOp``)."""
