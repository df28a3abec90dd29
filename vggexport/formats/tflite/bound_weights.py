"""What each weight of the graph becomes: real values in TFLite's layout, and their scales.

Kernels are outputs first: OHWI for convolutions, (outputs, inputs) for fully connected layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.formats.tflite.layer_kinds import BLOCK_SCALES_SUFFIX
from vggexport.formats.tflite.scheme import BLOCKWISE, DYNAMIC, INTEGER, WIDE, scheme
from vggexport.network.layers import Layer
from vggexport.quantization.int4 import pack_int4, quantize_blocks
from vggexport.quantization.int8 import ActivationQuantization, quantize_kernel, quantize_layer


@dataclass(frozen=True, slots=True)
class Value:
    """A weight's values.

    Attributes:
        name: Of its tensor.
        array: In the tensor's shape and data type; a view where the layout differs.
        scales: float32, one for each index of the first axis, where the tensor has some.
    """

    name: str
    array: NDArray[Any]
    scales: NDArray[np.float32] | None = None


def bind(
    artifact: Artifact,
    weights: Mapping[str, NDArray[np.float32]],
    activations: Mapping[str, ActivationQuantization],
) -> Iterator[Value]:
    """Every weight of the graph, a layer at a time."""
    for layer in artifact.spec.weighted_layers:
        kernel, bias = (weights[tensor.name] for tensor in layer.tensors)
        how = scheme(artifact, layer)
        if how in {INTEGER, WIDE}:
            scale = activations[artifact.spec.scaled_by(layer)].scale
            yield from _integer(layer, kernel, bias, scale, how.bias)
        elif how is DYNAMIC:
            yield from _dynamic(layer, kernel, bias)
        elif how is BLOCKWISE:
            yield from _blockwise(layer, kernel, bias)
        else:
            yield from _float(layer, kernel, bias, how.kernel)


def _float(
    layer: Layer, kernel: NDArray[np.float32], bias: NDArray[np.float32], dtype: str
) -> Iterator[Value]:
    for tensor, array in zip(layer.tensors, (kernel, bias), strict=True):
        with np.errstate(over="ignore"):  # becomes infinite, which the check finds
            yield Value(tensor.name, outputs_first(array.astype(dtype, copy=False)))


def _integer(
    layer: Layer,
    kernel: NDArray[np.float32],
    bias: NDArray[np.float32],
    input_scale: float,
    bias_dtype: str,
) -> Iterator[Value]:
    quantized = quantize_layer(kernel, bias, input_scale)
    yield Value(layer.kernel.name, outputs_first(quantized.kernel), quantized.kernel_scales)
    yield Value(layer.bias.name, quantized.bias.astype(bias_dtype), quantized.bias_scales)


def _dynamic(
    layer: Layer, kernel: NDArray[np.float32], bias: NDArray[np.float32]
) -> Iterator[Value]:
    integers, scales = quantize_kernel(kernel)
    yield Value(layer.kernel.name, outputs_first(integers), scales)
    yield Value(layer.bias.name, bias)


def _blockwise(
    layer: Layer, kernel: NDArray[np.float32], bias: NDArray[np.float32]
) -> Iterator[Value]:
    integers, scales = quantize_blocks(kernel)
    name = layer.kernel.name
    yield Value(name, pack_int4(outputs_first(integers)))
    yield Value(f"{name}{BLOCK_SCALES_SUFFIX}", outputs_first(scales))
    yield Value(layer.bias.name, bias)


def outputs_first(array: NDArray[Any]) -> NDArray[Any]:
    """The last axis, which is the outputs in the native layout, moved to the front: a view."""
    return np.moveaxis(array, -1, 0)
