"""Tables as data: the text of a row's cells, by the heads of their columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

Row = TypeVar("Row")
Columns: TypeAlias = Mapping[str, Callable[[Row], str]]


def cells(columns: Columns[Row], row: Row) -> tuple[str, ...]:
    """Those of one row, in order."""
    return tuple(cell(row) for cell in columns.values())
