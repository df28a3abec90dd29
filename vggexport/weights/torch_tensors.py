"""Tensors and storages as ``torch.save`` writes them down: what a file says of where values lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

_MOST_AXES = 8
_LONGEST_KEY = 64
"""Characters; torch writes a number."""
_LARGEST = 1 << 48
"""Of any size, stride or offset, in values."""

DTYPES: Mapping[str, str] = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "u2",
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
    "torch.storage.UntypedStorage": "u1",
}
"""NumPy's type of a value by the class that a storage is of; numpy has no bfloat16."""
BFLOAT16 = "torch.BFloat16Storage"


@dataclass(frozen=True, slots=True)
class Storage:
    """Values in a row somewhere in the file, or a stretch of them.

    Attributes:
        kind: Their type, a key of ``DTYPES``.
        key: The file's name for the row.
        count: Values in the row.
        start: First value of the stretch.
        size: Values in the stretch.

    Raises:
        TypeError: A field is of another type.
        ValueError: The stretch leads out of the row, or a size is none.
    """

    kind: str
    key: str
    count: int
    start: int
    size: int

    def __post_init__(self) -> None:
        if not isinstance(self.key, str) or len(self.key) > _LONGEST_KEY:
            raise TypeError("a storage without a name")
        _check_sizes(self.count, self.start, self.size)
        if self.start + self.size > self.count:
            raise ValueError("a view leads out of its storage")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage.

    Attributes:
        storage: Where its values lie.
        offset: Of its first value, from the first of the stretch.
        shape: Its shape.
        strides: By axis, in values.

    Raises:
        TypeError: A field is of another type.
        ValueError: It leads out of its storage, or has more values than that.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.storage, Storage):
            raise TypeError("a tensor without a storage")
        if not (isinstance(self.shape, tuple) and isinstance(self.strides, tuple)):
            raise TypeError("a tensor without a shape")
        if not len(self.shape) == len(self.strides) <= _MOST_AXES:
            raise ValueError(f"a tensor of {len(self.shape)} axes and {len(self.strides)} strides")
        _check_sizes(self.offset, *self.shape, *self.strides)
        size = self.storage.size
        # Strides of zero repeat values: a small file could stand for more than any memory holds.
        if prod(self.shape) > size or self.offset + self.extent > size:
            raise ValueError(f"a tensor of shape {self.shape} in a storage of {size} values")

    @property
    def extent(self) -> int:
        """How many values lie from its first to its last in the storage, both included."""
        if 0 in self.shape:
            return 0
        steps = zip(self.shape, self.strides, strict=True)
        return 1 + sum((size - 1) * stride for size, stride in steps)


def _check_sizes(*numbers: object) -> None:
    if not all(type(number) is int and 0 <= number < _LARGEST for number in numbers):
        raise ValueError("sizes that no tensor has")
