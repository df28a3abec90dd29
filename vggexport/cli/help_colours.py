"""Help in colour on a terminal: headings, and the names of options and commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import click


class _Formatter(click.HelpFormatter):
    """Click's own, with styles that take no room."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The first line of a command's help."""
        super().write_usage(prog, args, _styled(prefix or "Usage: ", bold=True))

    def write_heading(self, heading: str) -> None:
        """The title of a list."""
        super().write_heading(_styled(heading, bold=True))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """A list of names and what is said of each."""
        coloured = [(_styled(name, fg="cyan"), text) for name, text in rows]
        super().write_dl(coloured, col_max, col_spacing)


def _styled(text: str, *, fg: str | None = None, bold: bool | None = None) -> str:
    """Text in a style, where somebody looks at it: https://no-color.org."""
    is_seen = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return click.style(text, fg, bold=bold) if is_seen and not os.environ.get("NO_COLOR") else text


class HelpContext(click.Context):
    """A context whose help is in colour on a terminal."""

    formatter_class = _Formatter
