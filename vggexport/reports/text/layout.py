"""Tables and grids that all texts for a terminal are laid out in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from vggexport.reports.sheets import Sheet
from vggexport.reports.text.fitting import GAP, TextTable, broken, fitted, shares
from vggexport.system.number_text import printable

_DIGEST = re.compile(r"[0-9a-f]{32,}[.,;]?")


class Table:
    """Rows under heads, laid out for the width that there is when they are printed."""

    def __init__(self, *heads: str, names: int = 1, paths: bool = False) -> None:
        """A table without rows; names and paths as in :class:`TextTable`."""
        self._empty = TextTable(tuple(map(printable, heads)), (), names, paths=paths)
        self._rows: list[tuple[str, ...]] = []
        self._bold: set[int] = set()

    @classmethod
    def of(cls, sheet: Sheet, names: int | None = None) -> Table:
        """The table of a sheet, without its title; of as many names as it has where not told."""
        table = cls(*sheet.heads, names=names or sheet.names)
        for row in sheet.rows:
            table.add_row(*row)
        return table

    def add_row(self, *cells: str, bold: bool = False) -> None:
        """One more row."""
        self._bold |= {len(self._rows)} if bold else set()
        self._rows.append(tuple(map(printable, cells)))

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        tables, same = fitted(replace(self._empty, rows=tuple(self._rows)), width)
        for number, table in enumerate(tables):
            yield from [Text("")] if number else []
            yield from self._lines(table, width, ascii_only=options.ascii_only)
        yield from map(Text, broken(same, width)) if same else ()

    def _lines(self, table: TextTable, width: int, *, ascii_only: bool) -> Iterator[Text]:
        widths = shares(table, width)
        for number, row in enumerate((table.heads, *table.rows)):
            style = "bold" if number == 0 or number - 1 in self._bold else ""
            for line in _row_lines(row, widths, table.names, at_bottom=number == 0):
                shown = line.replace("\N{FULL BLOCK}", "#") if ascii_only else line
                yield Text(shown, style=style)


def _row_lines(
    cells: Sequence[str], widths: Sequence[int], names: int, *, at_bottom: bool
) -> Iterator[str]:
    """The lines of one row: names to the left, figures to the right."""
    columns = [broken(cell, width) for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, columns))
    for number, (lines, width) in enumerate(zip(columns, widths, strict=True)):
        missing = [""] * (height - len(lines))
        filled = missing + lines if at_bottom else lines + missing
        columns[number] = [_padded(line, width, right=number >= names) for line in filled]
    for line in zip(*columns, strict=True):
        yield (" " * GAP).join(line).rstrip()


def _padded(line: str, width: int, *, right: bool) -> str:
    space = " " * (width - cell_len(line))
    return space + line if right else line + space


@dataclass(frozen=True, slots=True)
class Grid:
    """Names in bold, and what is said of each beside it; below it where the name is long."""

    lines: Mapping[str, str]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        widest = width * 2 // 5
        indent = max((n for n in map(cell_len, self.lines) if n <= widest), default=0) + GAP
        for name, value in self.lines.items():
            head = name
            if cell_len(name) > widest:
                yield from (Text(line, style="bold") for line in broken(name, width))
                head = ""
            for paragraph in value.split("\n"):
                for part, is_whole in _parts(paragraph, width - indent):
                    for line in [] if is_whole else broken(part, width - indent):
                        yield Text.assemble((_padded(head, indent, right=False), "bold"), line)
                        head = ""
                    if is_whole:
                        yield from [Text(head, style="bold")] if head else []
                        yield Text(part, no_wrap=True, overflow="ignore")
                        head = ""


def _parts(text: str, width: int) -> Iterator[tuple[str, bool]]:
    """A text as words to be broken into lines, and words that no line may break: digests.

    Who copies one wants it in one piece: it has a line of its own where that is wider than there is
    room beside a name, and of a narrow terminal, which breaks it without a line's end.
    """
    begun: list[str] = []
    for word in text.split(" "):
        if cell_len(word) <= width or not _DIGEST.fullmatch(word):
            begun.append(word)
            continue
        if begun:
            yield " ".join(begun), False
        yield word, True
        begun = []
    if begun:
        yield " ".join(begun), False
