"""``vggexport export``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli import options as shared
from vggexport.cli.building import ways_out
from vggexport.cli.group import fail_check
from vggexport.cli.network_options import network_options
from vggexport.cli.value_types import DYNAMIC, Names
from vggexport.formats.registry import WRITTEN
from vggexport.precision import Precision

_FIXED = (f"{row.batch} in {row.suffix} files" for row in WRITTEN.values() if row.batch)
_BATCHES = "; ".join((DYNAMIC, *_FIXED))


@click.command()
@network_options
@shared.output_options("vgg_d_export")
@click.option(
    "--formats", type=Names(tuple(WRITTEN)), default=",".join(WRITTEN), help="Write these formats."
)
@click.option(
    "--precisions",
    type=Names(tuple(precision.value for precision in Precision)),
    default="float32,int8",
    help="Write each format in these precisions, where it has them.",
)
@shared.batch_option(None, f"Take this many images at a time.  [default: {_BATCHES}]")
@shared.input_dtype_option
@shared.calibration_options
@shared.ranges_option
@shared.rescale_option
@shared.check_options
@shared.common_options
def export(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Write several formats and precisions, and check each file.

    Weights are read once, and calibration runs once for all. A file that fails its check is not
    kept, the others are, and the exit code is 1.
    """
    import vggexport
    from vggexport.cli import parsed, terminal
    from vggexport.reports import text

    export_options = parsed.taken(
        vggexport.ExportOptions,
        options,
        precisions=tuple(map(Precision, options["precisions"])),
        folder=options["output"],
    )
    report = vggexport.export(
        parsed.network(options),
        parsed.calibrating(options),
        export_options,
        parsed.building(options),
        terminal.make_progress(),
    )
    rendered = text.export(report, options["weights"], options["calibration_data"])
    terminal.show(rendered, report, as_json=json)
    fail_check(report.failures, f"not kept; {ways_out(report.files)}")
