"""Tables in words, the same in every form of a report."""

from __future__ import annotations

from dataclasses import dataclass

from vggexport.system.markdown import code, escaped, table


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table in words.

    Attributes:
        title: What it shows.
        heads: Of its columns.
        rows: As many cells each.
        names: Columns from the left that hold names; those after them hold figures.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1

    def to_markdown(self) -> str:
        """The table without its title: names in the type of code."""
        rows = [
            (*map(code, row[: self.names]), *map(escaped, row[self.names :])) for row in self.rows
        ]
        return table(self.heads, rows, names=self.names)
