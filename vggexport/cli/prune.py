"""``vggexport prune``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli import options as shared
from vggexport.cli.network_options import network_options
from vggexport.cli.value_types import AT_LEAST_1, Factor, Share, Size, file_path, finite


@click.command()
@network_options
@click.option(
    "--calibration-data",
    required=True,
    metavar="SOURCE",
    help="Take images from a folder of any depth or an .npz of uint8 NHWC; no labels are needed.",
)
@click.option(
    "--calibration-samples",
    type=AT_LEAST_1,
    help="Take this many images.  [default: all but one in five, at most 256]",
)
@shared.max_unreadable_option
@click.option("--speedup", type=Factor(), help="Reduce the operations by this factor, such as 2x.")
@click.option(
    "--max-size", type=Size(), help="Bring the float32 weights down to this size, such as 60MB."
)
@click.option(
    "--target-sqnr",
    type=float,
    callback=finite,
    metavar="DB",
    help="Make it as narrow as this SQNR of the logits, in dB, allows.",
)
@click.option(
    "--latency",
    type=Share(whole=False),
    metavar="RATIO",
    help="Make the network as wide as this share of the original's latency allows, such as 0.5; "
    "latency is measured in ONNX Runtime, float32, on one thread.",
)
@shared.flag("--plan", "Only show what each budget would give.")
@shared.flag(
    "--front",
    "Measure latency, error and size with 1.5, 2, 3 and 4 times fewer operations, in float32 and "
    "int8, beside the original's.",
)
@shared.file_option(
    "--cache-dir",
    "Keep the statistics of the images in this folder, for further budgets.  [default: beside the "
    "output, until that is written]",
    metavar="DIR",
)
@click.option("--html", type=file_path(), metavar="FILE", help=shared.REPORT_FILES["html"])
@shared.output_options("narrow.safetensors")
@shared.common_options
def prune(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Make a narrower network from calibration images alone.

    The channels that matter least on the images are removed, and the layers after them are refitted
    to the outputs of the whole network. The expected cost of the budget is printed first. The
    result is the weights of a narrower VGG, which every command reads.
    """
    import vggexport
    from vggexport.cli import parsed, terminal
    from vggexport.cli.group import fail_check
    from vggexport.cli.report_files import report_files
    from vggexport.reports import PRUNING_FILES, text

    with report_files(PRUNING_FILES, options) as write:
        report = vggexport.prune(
            parsed.taken(vggexport.PruneOptions, options, network=parsed.network(options)),
            terminal.make_progress(),
        )
        rendered = text.pruning(report, options["calibration_data"])
        terminal.show(rendered, report, as_json=json)
        write(report)
    fail_check(report.failures, "more images, or a larger budget, may help")
