"""Affine int8 quantization: real value = scale * (integer - zero point).

Activations are asymmetric, or symmetric for TensorRT, one scale a tensor, in int8 or, for
Qualcomm's NPUs, in uint16; kernels are symmetric int8, one scale an output channel; biases are
int32 at the product of both scales, so that a layer accumulates in one scale. The scheme is the one
of Jacob et al., arXiv 1712.05877, with signed integers as in the LiteRT quantization specification;
ONNX and TFLite files carry the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ACTIVATION_DTYPES: Mapping[int, type[np.integer[Any]]] = {8: np.int8, 16: np.uint16}
"""By bits. Qualcomm's NPUs have zero points in unsigned 16 bits alone."""

KERNEL_MAX = 127
"""Kernels use -127...127: symmetric, and no -128 whose product could overflow 16-bit pairs."""

BIAS_MAX = 2**31 - 1

_CHUNK_ROWS = 1024  # rows of a kernel quantized at a time: bounds the float temporaries


@dataclass(frozen=True, slots=True)
class ActivationQuantization:
    """Scale and zero point of one activation tensor.

    Attributes:
        scale: Real width of one step, a float32 value > 0.
        zero_point: The integer that stands for 0.0, one of :attr:`dtype`.
        bits: Of the integers, one of :data:`ACTIVATION_DTYPES`.
    """

    scale: float
    zero_point: int
    bits: int = 8

    @property
    def dtype(self) -> type[np.integer[Any]]:
        """Data type of the integers."""
        return ACTIVATION_DTYPES[self.bits]

    @classmethod
    def from_range(cls, low: float, high: float, bits: int = 8) -> ActivationQuantization:
        """The parameters that map ``low``...``high`` onto all integers, zero being exact.

        A range that leaves 0 out is widened to it. 8 bits are -128...127, 16 bits are 0...65535.

        Returns:
            For an empty range (all values zero) a scale of 1.
        """
        integers = np.iinfo(ACTIVATION_DTYPES[bits])
        low, high = min(low, 0.0), max(high, 0.0)
        if low == high:
            return cls(1.0, integers.min, bits)
        step = np.float32((high - low) / (integers.max - integers.min))
        scale = float(max(step, np.finfo(np.float32).tiny))
        zero_point = round(integers.min - low / scale)
        return cls(scale, min(max(zero_point, integers.min), integers.max), bits)

    @classmethod
    def from_magnitude(cls, low: float, high: float) -> ActivationQuantization:
        """int8 parameters with zero point 0 that map the larger magnitude of both ends onto 127.

        Returns:
            For an empty range (all values zero) a scale of 1.
        """
        magnitude = max(abs(low), abs(high))
        if magnitude == 0:
            return cls(1.0, 0)
        return cls(float(max(np.float32(magnitude / KERNEL_MAX), np.finfo(np.float32).tiny)), 0)

    def rounded(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The real values that the nearest of the integers stand for."""
        integers: NDArray[np.float32] = values / np.float32(self.scale)
        np.rint(integers, out=integers)
        held = np.iinfo(self.dtype)
        lowest, highest = held.min - self.zero_point, held.max - self.zero_point
        np.clip(integers, lowest, highest, out=integers)
        integers *= np.float32(self.scale)
        return integers


@dataclass(frozen=True, slots=True)
class QuantizedLayer:
    """Integers and scales of one convolution or fully connected layer.

    Attributes:
        kernel: int8, shape as the float kernel, outputs last.
        kernel_scales: float32 (outputs,).
        bias: int32 (outputs,).
        bias_scales: float32 (outputs,): input scale times kernel scale.
    """

    kernel: NDArray[np.int8]
    kernel_scales: NDArray[np.float32]
    bias: NDArray[np.int32]
    bias_scales: NDArray[np.float32]

    @property
    def real_kernel(self) -> NDArray[np.float32]:
        """The real values that the kernel's integers stand for."""
        return self.kernel.astype(np.float32) * self.kernel_scales


def quantize_layer(
    kernel: NDArray[np.float32], bias: NDArray[np.float32], input_scale: float
) -> QuantizedLayer:
    """Rounds a layer's float32 weights to the nearest integers.

    Outputs are on the kernel's last axis; the scale is that of the layer's input activation.
    """
    scales = _kernel_scales(kernel, bias, input_scale)
    bias_scales = (np.float32(input_scale) * scales).astype(np.float32)
    rounded = np.rint(bias.astype(np.float64) / bias_scales)
    return QuantizedLayer(
        _round_kernel(kernel, scales),
        scales,
        np.clip(rounded, -BIAS_MAX, BIAS_MAX).astype(np.int32),
        bias_scales,
    )


def quantize_kernel(kernel: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds a float32 kernel alone, outputs last, for activations that are quantized as they come.

    Returns:
        int8 in the kernel's shape, and float32 scales (outputs,).
    """
    scales = _usable(_magnitudes(kernel) / KERNEL_MAX)
    return _round_kernel(kernel, scales), scales


def _kernel_scales(
    kernel: NDArray[np.float32], bias: NDArray[np.float32], input_scale: float
) -> NDArray[np.float32]:
    """Largest magnitude of each output channel on 127, wide enough that its bias fits int32."""
    for_bias = np.abs(bias.astype(np.float64)) / (input_scale * BIAS_MAX)
    return _usable(np.maximum(_magnitudes(kernel) / KERNEL_MAX, for_bias))


def _magnitudes(kernel: NDArray[np.float32]) -> NDArray[np.float64]:
    rows = kernel.reshape(-1, kernel.shape[-1])
    magnitudes: NDArray[np.float64] = np.maximum(rows.max(axis=0), -rows.min(axis=0)).astype(float)
    return magnitudes


def _usable(scales: NDArray[np.float64]) -> NDArray[np.float32]:
    """float32 scales, 1 for channels of zeros."""
    narrowed = scales.astype(np.float32)
    return np.where(narrowed < np.finfo(np.float32).tiny, np.float32(1.0), narrowed)


def _round_kernel(kernel: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.int8]:
    rows = kernel.reshape(-1, kernel.shape[-1])
    quantized = np.empty(rows.shape, np.int8)
    for start in range(0, len(rows), _CHUNK_ROWS):
        chunk = rows[start : start + _CHUNK_ROWS] / scales
        np.rint(chunk, out=chunk)
        np.clip(chunk, -KERNEL_MAX, KERNEL_MAX, out=chunk)
        quantized[start : start + _CHUNK_ROWS] = chunk
    return quantized.reshape(kernel.shape)
