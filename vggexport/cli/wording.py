"""Advice of the library, put in the options of a command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

from vggexport.errors import Advice, sentence

_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "samples": ("calibration_samples", "images"),
    "precision": ("precisions",),
}
"""Options that have another name in some commands."""


def worded(fact: str, advice: Iterable[str | Advice], command: click.Command | None) -> str:
    """A message; what needs an option that the command has not is left out."""

    def word(way: Advice) -> str | None:
        if way.command:
            return way.worded(_spelled(option) for option in way.options)
        names = [named(option, command) for option in way.options]
        known = [name for name in names if name]
        return way.worded(known) if len(known) == len(names) else None

    return sentence(fact, advice, word)


def named(option: str, command: click.Command | None) -> str | None:
    """An option as a command has it, "--force"; None where it has none of that meaning."""
    parameters = command.params if command else ()
    spellings = {s for p in parameters for s in (*p.opts, *p.secondary_opts)}
    names = map(_spelled, (option, *_ELSEWHERE.get(option, ())))
    return next((name for name in names if name in spellings), None)


def _spelled(option: str) -> str:
    return f"--{option.replace('_', '-')}"
