"""What each symbol of the traced graph becomes: real weights, their layout and precision right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vggexport.formats.onnx.variants import SCALES_SUFFIX
from vggexport.network.layers import Layer
from vggexport.network.spec import VGGSpec
from vggexport.quantization.int4 import BLOCK_SIZE, INT4_MIN, pack_int4, quantize_blocks
from vggexport.quantization.int8 import ActivationQuantization, quantize_layer

Weights = Mapping[str, NDArray[np.float32]]


def bind_float(
    spec: VGGSpec, layers: Sequence[Layer], weights: Weights, dtype: type[np.floating]
) -> Iterator[tuple[str, np.ndarray]]:
    """Each weight of the layers by its name, in ONNX layout, cast to ``dtype``."""
    for layer in layers:
        for tensor in layer.tensors:
            with np.errstate(over="ignore"):  # becomes infinite, which the check finds
                array = weights[tensor.name].astype(dtype, copy=False)
            yield tensor.name, onnx_layout(spec, layer, array)


def bind_int8(
    spec: VGGSpec,
    layers: Sequence[Layer],
    weights: Weights,
    activations: Mapping[str, ActivationQuantization],
) -> Iterator[tuple[str, np.ndarray]]:
    """int8 kernels, int32 biases and the float32 scales of both, by name, in ONNX layout."""
    for layer in layers:
        kernel, bias = (weights[tensor.name] for tensor in layer.tensors)
        quantized = quantize_layer(kernel, bias, activations[spec.scaled_by(layer)].scale)
        del kernel  # the largest has 411 MB
        yield layer.kernel.name, onnx_layout(spec, layer, quantized.kernel)
        yield f"{layer.kernel.name}{SCALES_SUFFIX}", quantized.kernel_scales
        yield layer.bias.name, quantized.bias
        yield f"{layer.bias.name}{SCALES_SUFFIX}", quantized.bias_scales


def bind_int4_blocks(layers: Sequence[Layer], weights: Weights) -> Iterator[tuple[str, np.ndarray]]:
    """int4 kernels in blocks, their float32 scales, and float32 biases, by name.

    MatMulNBits takes (outputs, blocks, packed values), of which 0 to 15 stand for -8 to 7.
    """
    for layer in layers:
        integers, scales = quantize_blocks(weights[layer.kernel.name])
        inputs, outputs = integers.shape
        packed = pack_int4(integers.T ^ np.int8(INT4_MIN))
        yield layer.kernel.name, packed.reshape(outputs, inputs // BLOCK_SIZE, BLOCK_SIZE // 2)
        yield f"{layer.kernel.name}{SCALES_SUFFIX}", scales.T.astype(np.float32)
        yield layer.bias.name, weights[layer.bias.name]


def onnx_layout(spec: VGGSpec, layer: Layer, array: np.ndarray) -> np.ndarray:
    """A native-layout weight as ONNX wants it.

    Kernels of convolutions go from HWIO to OIHW. The rows of a kernel after the flattening go from
    HWC to CHW order: activations are NCHW in ONNX, so permuting the rows once saves a transposition
    at each run.
    """
    if array.ndim == 1:
        return array
    if not layer.is_matrix:
        return array.transpose(3, 2, 0, 1)
    features = spec.flattened_in_front_of(layer)
    if features is None:
        return array
    return array.reshape(*features, -1).transpose(2, 0, 1, 3).reshape(array.shape)
