"""Tables made to fit a width: no figure is cut, no column lost, no name squeezed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, chop_cells

from vggexport.reports.paths import ends

GAP = 2
"""Columns of the terminal between two columns of a table."""

MIN_NAME = 16
"""What a column of names keeps at least, where its names are as long."""

_WORD = re.compile(r"\S+\s*|\s+")
_PART = re.compile(r".+?(?:[/_-]+|$)\s*")


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table in words.

    Attributes:
        heads: Of its columns.
        rows: As many cells each.
        names: Columns from the left that hold names, which may be broken; figures may not.
        paths: Whether the first column holds paths, which may be shortened.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    paths: bool = False

    @property
    def columns(self) -> tuple[tuple[str, ...], ...]:
        """The cells of each column, without its head."""
        return tuple(zip(*self.rows, strict=True)) if self.rows else ((),) * len(self.heads)

    def select(self, numbers: Sequence[int]) -> TextTable:
        """Some of the columns."""
        return replace(
            self,
            heads=tuple(self.heads[n] for n in numbers),
            rows=tuple(tuple(row[n] for n in numbers) for row in self.rows),
            names=sum(n < self.names for n in numbers),
        )


def fitted(table: TextTable, width: int) -> tuple[list[TextTable], str]:
    """Tables that show together what one does, each within a width.

    Columns without a cell go. If that is not enough, paths lose what they have in common, then
    names and heads are broken, then columns that say the same in every row go, then the others are
    divided among several tables that each begin with the names of the rows.

    Returns:
        The tables, and what was the same in every row.
    """
    table = table.select([n for n, cells in enumerate(table.columns) if n == 0 or any(cells)])
    if _in_all(_widest(table)) > width:
        table = _shortened(table)
    table, same = _without_constants(table, width)
    return list(_blocks(table, width)), same


def _in_all(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _widest(table: TextTable) -> list[int]:
    """Of each column, what it takes unbroken."""
    return [
        max(map(cell_len, (head, *cells)))
        for head, cells in zip(table.heads, table.columns, strict=True)
    ]


def _narrowest(table: TextTable, width: int) -> list[int]:
    """Of each column, what it takes at least: names and heads are broken, figures are not.

    A figure that leaves no room for a name is a list, and is broken too.
    """
    found = []
    for number, cells in enumerate(table.columns):
        words = (min(cell_len(word), MIN_NAME) for word in table.heads[number].split())
        room = MIN_NAME if number < table.names else width - GAP - MIN_NAME
        found.append(max([min(max(map(cell_len, cells), default=0), room), *words]))
    return found


def _shortened(table: TextTable) -> TextTable:
    if not table.paths:
        return table
    short = ends(table.columns[0])
    return replace(table, rows=tuple((short[first], *rest) for first, *rest in table.rows))


def _without_constants(table: TextTable, width: int) -> tuple[TextTable, str]:
    """The table with as few columns that say the same in every row as fit, and what those said."""
    same = []
    least = _narrowest(table, width)
    kept = list(range(len(table.heads)))
    for number, cells in enumerate(table.columns):
        if _in_all([least[n] for n in kept]) <= width or len(cells) == 1:
            break
        if number > 0 and len(set(cells)) == 1:
            same.append(f"{table.heads[number]} {cells[0]}")
            kept.remove(number)
    said = f"in every row: {', '.join(same)}" if same else ""
    return table.select(kept), said


def _blocks(table: TextTable, width: int) -> Iterator[TextTable]:
    """The columns divided among as many tables as it takes, the names of the rows in each."""
    least = _narrowest(table, width)
    keys = _keys(table)
    block = list(range(keys))
    for number in range(keys, len(table.heads)):
        if len(block) > keys and _in_all([least[n] for n in (*block, number)]) > width:
            yield table.select(block)
            block = list(range(keys))
        block.append(number)
    yield table.select(block)


def _keys(table: TextTable) -> int:
    """How many columns from the left tell the rows apart."""
    for keys in range(1, len(table.heads)):
        if len({row[:keys] for row in table.rows}) == len(table.rows):
            return keys
    return 1


def shares(table: TextTable, width: int) -> list[int]:
    """What each column gets of a width: heads are broken first, the first column's names last."""
    widths, least = _widest(table), _narrowest(table, width)
    for number in range(table.names, len(widths)):
        if _in_all(widths) > width:
            widths[number] = least[number]
    while _in_all(widths) > width:
        wide = [n for n, taken in enumerate(widths) if taken > least[n]]
        if not wide:
            break
        widths[max(wide, key=lambda n: (n > 0, widths[n]))] -= 1
    return widths


def broken(text: str, width: int) -> list[str]:
    """The lines of a text: broken between words; a longer word after "/", "_" or "-"."""
    lines = [""]
    for word in _WORD.findall(text):
        for part in [word] if cell_len(word.rstrip()) <= width else _PART.findall(word):
            if cell_len(lines[-1] + part.rstrip()) <= width:
                lines[-1] += part
            else:
                lines += chop_cells(part.rstrip(), width)
                lines[-1] += part[len(part.rstrip()) :]
    return [line.rstrip() for line in lines if line.strip()] or [""]
