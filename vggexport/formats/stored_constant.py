"""Constants as files store them, and the real values that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

INT4_ZERO_POINT = 8
"""What :func:`unpack_int4`'s integers have for 0."""

_EXACT_BYTES = 2
"""float32 holds every integer of so many bytes; larger ones are scaled in float64."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Values of one tensor: real value = scale * (value - zero point).

    Attributes:
        values: Of any type; a view of the file where that is possible.
        scales: In a shape that broadcasts to that of the values, as many axes; None for none.
        zero_point: The integer that stands for 0.0.
    """

    values: NDArray[Any]
    scales: NDArray[Any] | None = None
    zero_point: int = 0

    @classmethod
    def per_channel(
        cls, values: NDArray[Any], scales: NDArray[Any], zero_points: NDArray[Any], axis: int
    ) -> Constant:
        """Integers with a scale for each index of ``axis``, or with one for all.

        Raises:
            ValueError: The scales are not as many, or zero points differ.
        """
        if zero_points.size and (zero_points != zero_points.flat[0]).any():
            raise ValueError("zero points that differ by channel")
        shape = [1] * values.ndim
        if scales.size != 1:
            shape[axis] = values.shape[axis]
        zero_point = int(zero_points.flat[0]) if zero_points.size else 0
        return cls(values, scales.reshape(shape), zero_point)

    def transpose(self, *axes: int) -> Constant:
        """The same values with their axes in another order; nothing is copied."""
        scales = None if self.scales is None else self.scales.transpose(axes)
        return Constant(self.values.transpose(axes), scales, self.zero_point)

    def rows(self, order: NDArray[np.intp]) -> Constant:
        """The same with the first axis in another order; the values are copied.

        Raises:
            ValueError: There are more or fewer rows.
        """
        if len(order) != len(self.values):
            raise ValueError(f"{len(self.values)} rows, expected {len(order)}")
        scales = self.scales
        if scales is not None and len(scales) > 1:
            scales = scales[order]
        return Constant(self.values[order], scales, self.zero_point)

    def real(self) -> NDArray[np.float32]:
        """The real values, float32 in C order; without scales perhaps a view of the file."""
        if self.scales is None:
            return np.asarray(self.values, np.float32, order="C")
        exact = self.values.dtype.itemsize <= _EXACT_BYTES
        array: NDArray[Any] = np.array(self.values, np.float32 if exact else np.float64, order="C")
        if self.zero_point:
            array -= self.zero_point
        array *= self.scales
        return array.astype(np.float32, copy=False)


def unpack_int4(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The halves of bytes, the lower first.

    Returns:
        uint8 0...15, twice as many; flat.
    """
    flat = packed.reshape(-1)
    halves = np.empty(2 * flat.size, np.uint8)
    np.bitwise_and(flat, 0xF, out=halves[0::2])
    np.right_shift(flat, 4, out=halves[1::2])
    return halves


def in_blocks(halves: NDArray[np.uint8], scales: NDArray[Any], size: int) -> NDArray[np.float32]:
    """The kernel of a fully connected layer from int4 values in blocks along its inputs.

    Args:
        halves: uint8 with :data:`INT4_ZERO_POINT` for 0, of (outputs, inputs), flat.
        scales: (outputs, inputs / size).
        size: Inputs that share a scale.

    Returns:
        float32 (inputs, outputs).

    Raises:
        ValueError: The sizes do not go together.
    """
    outputs, blocks = scales.shape
    values = halves.reshape(outputs, blocks, size)
    blockwise = Constant(values, scales[:, :, None], INT4_ZERO_POINT).transpose(1, 2, 0)
    return blockwise.real().reshape(blocks * size, outputs)


def held_range(dtype: Any, scale: Any, zero_point: Any) -> tuple[float, float]:
    """Least and largest real value that an integer type holds: scale * (integer - zero point)."""
    limits = np.iinfo(dtype)
    low, high = (float(scale) * (end - int(zero_point)) for end in (limits.min, limits.max))
    return low, high
