"""A TFLite graph as plain data, before any weight is in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.quantization.int8 import ActivationQuantization


@dataclass(frozen=True, slots=True)
class Blocks:
    """Scales of a block-wise quantized kernel.

    Attributes:
        size: Values along the last axis that share a scale.
        scales: Name of the tensor that holds them.
    """

    size: int
    scales: str


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: computed, a constant known now, or a weight that is bound later.

    Attributes:
        name: Its name in the file.
        dtype: "float32", "float16", "int4", "int8", "uint8", "int16", "int32" or "int64".
        shape: Of one image's value, where there is one for each image.
        quantization: Of an integer activation or constant.
        channels: Number of scales, one for each index of the first axis, that are bound together
            with a weight's values; 0 for none.
        blocks: Of an int4 kernel.
        data: A constant's values.
        is_weight: Whether its values are bound later.
        is_static: Whether it is computed from weights alone.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    quantization: ActivationQuantization | None = None
    channels: int = 0
    blocks: Blocks | None = None
    data: NDArray[Any] | None = None
    is_weight: bool = False
    is_static: bool = False

    @property
    def is_computed(self) -> bool:
        """Whether it has no values in the file."""
        return self.data is None and not self.is_weight

    @property
    def is_activation(self) -> bool:
        """Whether there is one for each image."""
        return self.is_computed and not self.is_static

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Shape of a weight's array: int4 values are stored two a byte, as a flat array."""
        return (-(-prod(self.shape) // 2),) if self.dtype == "int4" else self.shape

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """Data type of a weight's array."""
        return np.dtype("uint8" if self.dtype == "int4" else self.dtype)

    @property
    def size_bytes(self) -> int:
        """Bytes of a weight in the file."""
        return prod(self.stored_shape) * self.stored_dtype.itemsize


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator.

    Attributes:
        type: In TFLite's words, such as "CONV_2D".
        version: The lowest version of the operator that takes these types.
        inputs: Names of tensors.
        output: Name of the tensor that it computes.
        options: The schema's options object, or None.
    """

    type: str
    version: int
    inputs: tuple[str, ...]
    output: str
    options: Any = None


@dataclass(slots=True)
class Graph:
    """Tensors by name and operators in order; the first activation is its input."""

    name: str
    batch: int | None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)

    def add(self, tensor: Tensor) -> Tensor:
        """Adds a tensor and gives it back.

        Raises:
            ValueError: Its name is taken.
        """
        if tensor.name in self.tensors:
            raise ValueError(f"two tensors are named {tensor.name}")
        self.tensors[tensor.name] = tensor
        return tensor

    @property
    def weights(self) -> dict[str, Tensor]:
        """The tensors that are bound later."""
        return {name: tensor for name, tensor in self.tensors.items() if tensor.is_weight}

    @property
    def input(self) -> Tensor:
        """The images."""
        return next(tensor for tensor in self.tensors.values() if tensor.is_activation)

    @property
    def output(self) -> Tensor:
        """What the last operator computes."""
        return self.tensors[self.operators[-1].output]
