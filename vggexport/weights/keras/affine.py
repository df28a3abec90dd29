"""Affine maps by channel: what Rescaling, normalizations and arithmetic come to, and their folding.

All of it is exact but for rounding: ``y[c] = scale[c] * x[c] + offset[c]`` follows a convolution or
dense layer as a factor of its outputs, and goes before a dense layer as a factor of its inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vggexport.weights.stored import AnyArray, StoredTensor

Float64Array = NDArray[np.float64]
_ROWS = 1 << 10
"""Rows of a kernel that are looked at together: fc1 of VGG-D in float64 would be 822 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """One factor and one summand a channel, both float64 of shape (channels,)."""

    scale: Float64Array
    offset: Float64Array

    @classmethod
    def identity(cls, channels: int) -> Affine:
        """What changes nothing."""
        return cls(np.ones(channels), np.zeros(channels))

    def then(self, other: Affine) -> Affine:
        """Both, ``other`` last."""
        return Affine(self.scale * other.scale, self.offset * other.scale + other.offset)

    def repeated(self, positions: int) -> Affine:
        """For a map of so many positions that was flattened, channels last."""
        return Affine(np.tile(self.scale, positions), np.tile(self.offset, positions))


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a described network does to RGB 0...255 before its first convolution and its padding.

    Its channel ``c`` is ``scale[c] * x[order[c]] + offset[c]`` of the RGB image ``x``.
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]
    order: tuple[int, ...] = (0, 1, 2)


def folded_kernel(
    kernel: StoredTensor, before: Affine | None, after: Affine | None
) -> StoredTensor:
    """The kernel of a layer with what is affine before (dense layers alone) and after it in it."""
    if before is None and after is None:
        return kernel

    def read() -> AnyArray:
        values = np.array(kernel.read(), dtype=np.float32)
        if before is not None:
            values *= before.scale.astype(np.float32)[:, np.newaxis]
        if after is not None:
            values *= after.scale.astype(np.float32)
        return values

    return StoredTensor(kernel.shape, read)


def folded_bias(
    kernel: StoredTensor, bias: StoredTensor | None, before: Affine | None, after: Affine | None
) -> StoredTensor:
    """The bias that goes with :func:`folded_kernel`, zeros where there is none."""
    if bias is not None and before is None and after is None:
        return bias
    shape = kernel.shape[-1:]
    return StoredTensor(shape, partial(_bias, kernel, bias, before, after))


def _bias(
    kernel: StoredTensor, bias: StoredTensor | None, before: Affine | None, after: Affine | None
) -> AnyArray:
    values: Float64Array = np.zeros(kernel.shape[-1])
    if bias is not None:
        values += bias.read()
    if before is not None:
        rows = kernel.read()
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            values += before.offset[part] @ rows[part].astype(np.float64)
    if after is not None:
        values = values * after.scale + after.offset
    return values
