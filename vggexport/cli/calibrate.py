"""``vggexport calibrate``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli.network_options import network_options
from vggexport.cli.options import calibration_options, common_options, output_options


@click.command()
@network_options
@output_options("vgg_d_ranges.json")
@calibration_options
@click.option(
    "--curve",
    is_flag=True,
    help="Show what ranges from 8, 16, ... images are worth, and how many are enough.",
)
@common_options
def calibrate(json: bool, **options: Any) -> None:  # noqa: FBT001
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
    terminal.show(text.calibration(report), report, as_json=json)
