"""``vggexport prune``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli.options import common_options, network_options, output_options
from vggexport.cli.value_types import AT_LEAST_1, Factor, Size, file_path, finite


@click.command()
@network_options
@click.option(
    "--calibration-data",
    required=True,
    metavar="SOURCE",
    help="A folder of images of any depth, or an .npz of uint8 NHWC; no labels are needed.",
)
@click.option(
    "--calibration-samples",
    type=AT_LEAST_1,
    help="Number of images.  [default: all but one in five, at most 320]",
)
@click.option("--speedup", type=Factor(), help="How many times fewer operations, as 2x.")
@click.option("--max-size", type=Size(), help="Of the weights as float32, as 60MB.")
@click.option(
    "--target-sqnr",
    type=float,
    callback=finite,
    metavar="DB",
    help="Be as narrow as so many dB of the logits allow.",
)
@click.option("--plan", is_flag=True, help="Only say what budgets give.")
@click.option(
    "--cache-dir",
    type=file_path(),
    metavar="DIR",
    help="Where what the images say is kept for further budgets.  [default: beside the output, "
    "until that is there]",
)
@output_options("narrow.safetensors")
@common_options
def prune(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Make a narrower network from calibration images alone.

    Channels that the images show to be spared best are taken out, and the layers behind them
    refitted to what the whole network gives. What a budget costs is said first. The weights that
    are written are those of a narrower VGG, which every command reads.
    """
    import vggexport
    from vggexport.cli import parsed, terminal
    from vggexport.cli.group import fail_check
    from vggexport.reports import text

    report = vggexport.prune(
        parsed.taken(vggexport.PruneOptions, options, network=parsed.network(options)),
        terminal.make_progress(),
    )
    terminal.show(text.pruning(report), report, as_json=json)
    fail_check(report.failures, "more images, or a larger budget, may help")
