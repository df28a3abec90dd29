"""The command reference, ``docs/commands.md``, from the commands themselves.

``make docs`` writes it, and a test compares.
"""

from __future__ import annotations

import click

from vggexport.cli.group import COMMANDS, main

WIDTH = 96

TITLE = "# Commands\n\nWritten by `make docs` from the commands themselves.\n"


def reference() -> str:
    """Every command with its help, as Markdown."""
    with click.Context(main, info_name="vggexport", **main.context_settings) as parent:
        helps = {name: _help(parent, name) for name in COMMANDS}
    return "\n".join([TITLE, *(f"## {n}\n\n```text\n{text}\n```\n" for n, text in helps.items())])


def _help(parent: click.Context, name: str) -> str:
    _, command, _ = main.resolve_command(parent, [name])
    if command is None:
        return ""
    with click.Context(
        command, parent=parent, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH
    ) as context:
        return context.get_help()


if __name__ == "__main__":
    click.echo(reference(), nl=False)
