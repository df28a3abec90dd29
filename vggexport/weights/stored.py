"""One tensor that lies in a file or is made on demand: its shape now, its values when read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vggexport.errors import WeightsError

Float32Array: TypeAlias = NDArray[np.float32]
AnyArray: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as its source holds it.

    Attributes:
        shape: Shape of what ``read`` returns.
        read: Reads the values, in any floating-point type.
    """

    shape: tuple[int, ...]
    read: Callable[[], AnyArray]


Archive: TypeAlias = Mapping[str, StoredTensor]
"""The tensors of one file by the names it gives them, in the model's order where it tells one."""


def floating(array: AnyArray, label: str) -> AnyArray:
    """The array; integers would be a quantized network's values without their scales.

    Raises:
        WeightsError: It holds integers.
    """
    if not np.issubdtype(array.dtype, np.floating):
        raise WeightsError(
            f"{label} holds {array.dtype}: store weights as float32 (float16 and float64 also do)"
        )
    return array


@contextmanager
def reading(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turns ``OSError`` and ``errors``, raised while ``path`` is read, into one line.

    Raises:
        WeightsError: One of them was raised.
    """
    translated: tuple[type[Exception], ...] = (OSError, *errors)
    try:
        yield
    except translated as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise WeightsError(
            f"{path} is damaged or cannot be read ({reason}): fetch or export it again"
        ) from error


def float32_from_bfloat16(halves: AnyArray) -> Float32Array:
    """Bfloat16, which numpy has not, is the upper half of a float32: uint16 of any shape here."""
    values = halves.astype(np.uint32)
    values <<= 16
    return values.view(np.float32)
