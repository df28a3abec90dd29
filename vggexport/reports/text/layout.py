"""Tables and grids that all texts for a terminal are laid out in."""

from __future__ import annotations

from collections.abc import Container, Mapping

from rich.console import JustifyMethod, OverflowMethod
from rich.table import Table
from rich.text import Text


def table_of(*columns: str, folded: Container[str] | None = None) -> Table:
    """A table without lines, its first column to the left and the others to the right.

    Args:
        columns: A heading each.
        folded: Columns that are folded where room is short, such as paths; figures are not. None
            where words are wrapped in all but the first.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        justify: JustifyMethod = "left" if index == 0 else "right"
        whole = index == 0 if folded is None else column not in folded
        overflow: OverflowMethod = "ellipsis" if folded is None else "fold"
        table.add_column(Text(column), justify=justify, no_wrap=whole, overflow=overflow)
    return table


def grid(lines: Mapping[str, str]) -> Table:
    """Names in bold, and what is said of each beside it."""
    names = Table.grid(padding=(0, 2))
    names.add_column(style="bold", no_wrap=True)
    names.add_column(overflow="fold")
    for name, value in lines.items():
        names.add_row(Text(name), Text(value))
    return names
