"""Parts of a Markdown document, safe for names that somebody else chose.

GitHub Flavored Markdown, https://github.github.com/gfm/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from vggexport.system.columns import Columns, Row, cells
from vggexport.system.number_text import printable

_SIGNIFICANT = re.compile(r"[\\`*_\[\]<>|~&@$]")
"""What emphasis, links, HTML, cells, GitHub's mentions and formulas are made of within a line."""

_NOT_CODE = frozenset("`|<>&\\")
"""What ends a code span or a cell of a table, or what a careless reader takes for HTML."""


def escaped(text: str) -> str:
    """Text within a line that means itself: what is significant becomes a numeric entity."""
    return _SIGNIFICANT.sub(lambda match: f"&#{ord(match[0])};", printable(text))


def code(name: str) -> str:
    """A name in the type of code; one that could end it stands in HTML, as entities."""
    name = printable(name)
    if not name.strip():
        return ""
    return f"`{name}`" if _NOT_CODE.isdisjoint(name) else f"<code>{escaped(name)}</code>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, names: int = 1) -> str:
    """A table; its cells are Markdown already.

    Columns from the left hold names; those after them hold figures, to the right.
    """
    rule = [":---" if column < names else "---:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def table_of(columns: Columns[Row], rows: Iterable[Row], *, names: int = 1) -> str:
    """The same of what gives a row's cells."""
    return table(tuple(columns), [cells(columns, row) for row in rows], names=names)


def details(summary: str, content: str) -> str:
    """Something that is folded away until it is asked for."""
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"


def terms(lines: Mapping[str, str]) -> str:
    """A list of names and what is said of each, which is plain text."""
    return "\n".join(f"- **{name}**: {escaped(text)}" for name, text in lines.items())


def document(*blocks: str) -> str:
    """The blocks with an empty line between them; empty ones are left out."""
    return "\n\n".join(block for block in blocks if block) + "\n"
