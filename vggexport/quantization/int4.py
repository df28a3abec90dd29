"""int4 weights of fully connected layers, in blocks along the inputs that share a scale.

Symmetric, real value = scale * integer with integers -8...7, as LiteRT's block-wise kernels and
ONNX Runtime's MatMulNBits compute; both formats carry the same integers and scales.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.errors import Advice, InputError
from vggexport.network.spec import VGGSpec

BLOCK_SIZE = 64
"""Inputs that share a scale: with float16 scales 4.25 bits a weight."""

INT4_MIN, INT4_MAX = -8, 7

REACHES = (7.0, 7.5, 8.0, 8.5, 9.0, 9.5, 10.0)
"""Integers that a block's largest weight is tried at; above 8 it is clipped, so that the others
round finer. The reach with the least squared error is taken, block by block."""

_BLOCKS_AT_A_TIME = 8  # bounds the float temporaries to some megabytes


def check_divides(spec: VGGSpec) -> None:
    """Refuses a network whose fully connected layers do not divide into blocks.

    Raises:
        InputError: One has another number of inputs.
    """
    for layer in spec.weighted_layers:
        inputs = layer.kernel.shape[0]
        if layer.is_matrix and inputs % BLOCK_SIZE:
            raise InputError(
                f"int4 weights need a multiple of {BLOCK_SIZE} inputs in each fully connected "
                f"layer, {layer.name} has {inputs}",
                Advice("choose other {}", "fc_units"),
                "quantize to int8",
            )


def quantize_blocks(kernel: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Rounds a fully connected kernel to int4 in blocks.

    It is float32 (inputs, outputs), inputs a multiple of :data:`BLOCK_SIZE`.

    Returns:
        Integers -8...7 as int8, the kernel's shape; scales, float16 (inputs / BLOCK_SIZE, outputs).

    Raises:
        ValueError: The inputs do not divide into blocks.
    """
    inputs, outputs = kernel.shape
    if inputs % BLOCK_SIZE:
        raise ValueError(f"{inputs} inputs do not divide into blocks of {BLOCK_SIZE}")
    blocks = kernel.reshape(-1, BLOCK_SIZE, outputs)
    integers = np.empty(blocks.shape, np.int8)
    scales = np.empty((len(blocks), outputs), np.float16)
    for start in range(0, len(blocks), _BLOCKS_AT_A_TIME):
        part = slice(start, start + _BLOCKS_AT_A_TIME)
        scales[part] = _best_scales(blocks[part])
        integers[part] = _round(blocks[part], scales[part])
    return integers.reshape(kernel.shape), scales


def pack_int4(integers: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Two values a byte, the first in the low half, as TFLite stores int4.

    The integers are int8 with values -8...7, of any shape, taken in C order.

    Returns:
        uint8 (half as many, rounded up).
    """
    halves = np.ascontiguousarray(integers).reshape(-1).view(np.uint8) & np.uint8(0xF)
    if halves.size % 2:
        halves = np.append(halves, np.uint8(0))
    return (halves[0::2] | halves[1::2] << 4).astype(np.uint8, copy=False)


def _best_scales(blocks: NDArray[np.float32]) -> NDArray[np.float16]:
    """The scale of each block, of those that :data:`REACHES` gives, with the least squared error.

    float16 already, so that the error is that of the scale in the file.
    """
    largest = np.abs(blocks).max(axis=1)
    best = np.full(largest.shape, np.inf, np.float32)
    scales = _representable(largest / np.float32(INT4_MAX))  # if all errors are out of range
    for reach in REACHES:
        candidate = _representable(largest / np.float32(reach))
        error = _round(blocks, candidate).astype(np.float32)
        error *= candidate[:, None].astype(np.float32)
        error -= blocks
        squared = np.einsum("bio,bio->bo", error, error)
        better = squared < best
        best[better], scales[better] = squared[better], candidate[better]
    return scales


def _representable(scales: NDArray[np.float32]) -> NDArray[np.float16]:
    """float16 scales, positive and finite also for blocks of zeros and for huge weights."""
    limits = np.finfo(np.float16)
    return np.clip(scales, limits.smallest_subnormal, limits.max).astype(np.float16)


def _round(blocks: NDArray[np.float32], scales: NDArray[np.float16]) -> NDArray[Any]:
    quotients = blocks / scales[:, None].astype(np.float32)
    np.rint(quotients, out=quotients)
    return np.clip(quotients, INT4_MIN, INT4_MAX, out=quotients).astype(np.int8)
