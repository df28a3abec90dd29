"""``vggexport calibrate``."""

from __future__ import annotations

import shlex
from typing import Any

import click

from vggexport.cli.group import ARGUMENTS
from vggexport.cli.network_options import network_options
from vggexport.cli.options import calibration_options, common_options, flag, output_options

OWN = frozenset({"output", "force", "curve", "json", "verbose"})
"""Options that are no part of what is calibrated."""


@click.command()
@network_options
@output_options("vgg_d_ranges.json")
@calibration_options
@flag("--curve", "Show what ranges from 8, 16, ... images are worth, and how many are enough.")
@common_options
@click.pass_context
def calibrate(ctx: click.Context, /, json: bool, **options: Any) -> None:  # noqa: FBT001
    """Take activation ranges from images, for int8 exports.

    Pass the file that it writes to --ranges of the int8 exports.
    """
    import vggexport
    from vggexport.cli import parsed, terminal
    from vggexport.reports import text

    report = vggexport.calibrate(
        parsed.network(options),
        parsed.calibrating(options),
        options["output"],
        curve=options["curve"],
        force=options["force"],
        progress=terminal.make_progress(),
    )
    terminal.show(text.calibration(report, _as_typed(ctx)), report, as_json=json)


def _as_typed(ctx: click.Context) -> str:
    """The options that an int8 export is to be given again, with a space in front of each."""
    typed, _, order = ctx.command.make_parser(ctx).parse_args(list(ctx.meta[ARGUMENTS]))
    words = ""
    for option in dict.fromkeys(order):
        if option.name in OWN or not isinstance(option, click.Option):
            continue
        value = "" if option.is_flag else f" {shlex.quote(typed[option.name])}"
        words += f" {option.opts[-1]}{value}"
    return words
