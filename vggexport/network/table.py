"""Table 1 of the paper, in its notation.

Source: K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", arXiv 1409.1556.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from vggexport.errors import InputError

TABLE_1: Mapping[str, str] = {
    "A": "conv3-64 | conv3-128 | conv3-256 conv3-256 | conv3-512 conv3-512 | conv3-512 conv3-512",
    "B": "conv3-64 conv3-64 | conv3-128 conv3-128 | conv3-256 conv3-256"
    " | conv3-512 conv3-512 | conv3-512 conv3-512",
    "C": "conv3-64 conv3-64 | conv3-128 conv3-128 | conv3-256 conv3-256 conv1-256"
    " | conv3-512 conv3-512 conv1-512 | conv3-512 conv3-512 conv1-512",
    "D": "conv3-64 conv3-64 | conv3-128 conv3-128 | conv3-256 conv3-256 conv3-256"
    " | conv3-512 conv3-512 conv3-512 | conv3-512 conv3-512 conv3-512",
    "E": "conv3-64 conv3-64 | conv3-128 conv3-128 | conv3-256 conv3-256 conv3-256 conv3-256"
    " | conv3-512 conv3-512 conv3-512 conv3-512 | conv3-512 conv3-512 conv3-512 conv3-512",
}
"""Columns A to E of table 1 in its notation: "conv<kernel>-<filters>", "|" for max pooling."""

OWN = "own"
"""What blocks are called that are no column of it."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """One "conv3-64" of table 1; stride 1 and same padding always (section 2.1)."""

    kernel_size: int
    filters: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads the paper's notation.

        Raises:
            InputError: ``text`` is not "conv<kernel>-<filters>" with an odd kernel.
        """
        kernel, _, filters = text.removeprefix("conv").partition("-")
        if not (text.startswith("conv") and kernel.isdecimal() and filters.isdecimal()):
            raise InputError(f"layer {text!r} is not of the form conv3-64")
        if int(kernel) % 2 == 0 or int(filters) < 1:
            raise InputError(f"layer {text!r} needs an odd kernel and at least one filter")
        return cls(int(kernel), int(filters))

    def __str__(self) -> str:
        return f"conv{self.kernel_size}-{self.filters}"


def parse_blocks(column: str) -> tuple[tuple[Convolution, ...], ...]:
    """Blocks of convolutions from one column of table 1."""
    return tuple(
        tuple(Convolution.parse(text) for text in block.split()) for block in column.split("|")
    )


def column_of(blocks: tuple[tuple[Convolution, ...], ...]) -> str:
    """The column of table 1 that these blocks are, or :data:`OWN`."""
    columns = (name for name, column in TABLE_1.items() if parse_blocks(column) == blocks)
    return next(columns, OWN)
