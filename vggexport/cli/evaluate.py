"""``vggexport evaluate``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli import options as shared
from vggexport.cli.group import fail_check
from vggexport.cli.picture_options import picture_options
from vggexport.cli.preprocessing_options import preprocessing_of_option
from vggexport.cli.value_types import AT_LEAST_1, Share

CLASS_ORDERS = ("auto", "index", "index-from-1", "alphabetical")


@click.command()
@shared.artifacts_argument
@shared.labelled_data_option
@shared.file_option(
    "--csv",
    "Read labels from a CSV file with the columns image (a path in the folder) and label, instead "
    "of folders named by class.",
)
@shared.labels_option(
    "Read the networks' class names from a file, one per line or JSON.  [default: those "
    "that the networks carry]"
)
@click.option(
    "--class-order",
    type=click.Choice(CLASS_ORDERS),
    default="auto",
    help="Say what folders named by number stand for; auto follows the labels, or takes 0 to the "
    "last.",
)
@click.option("--images", type=AT_LEAST_1, help="Take at most this many images.  [default: all]")
@shared.seed_option("Choose images by this seed.")
@shared.combined(*picture_options)
@shared.max_unreadable_option
@shared.run_options
@preprocessing_of_option
@click.option(
    "--min-top1",
    type=Share(),
    help="Fail if a network gets a smaller share of images right, such as 82% or 0.82.",
)
@click.option(
    "--max-drop",
    type=Share(),
    help="Fail if a network is right less often than the first by more than this share of the "
    "images, such as 0.5% or 0.005.",
)
@shared.flag(
    "--try-preprocessing",
    "Try each convention for pixels on weights, or on a file of another converter, and say which "
    "one fits the labels.",
)
@shared.strict_option(
    "Refuse images that a network was calibrated on, an inconclusive gate, classes that seem to be "
    "in another order, and a class that the first network gives and another never."
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="Run networks in this process or on a Ray cluster.",
)
@click.option("--address", help="Use the Ray cluster at this address.  [default: one started here]")
@click.option(
    "--workers", type=AT_LEAST_1, help="Start this many runners.  [default: one per processor]"
)
@shared.report_file_options("markdown", "junit", "html")
@shared.common_options
def evaluate(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Count right answers on labelled images, and compare networks.

    ARTIFACTS are .onnx and .tflite files, SavedModel directories, and weights files (or
    random:SEED), which stand for the Keras network. The others are compared with the first. A gate
    fails if the whole 95 % interval is beyond the limit, and is inconclusive if the limit is in it.
    """
    import vggexport
    from vggexport.cli import parsed, terminal
    from vggexport.cli.report_files import report_files
    from vggexport.reports import EVALUATION_FILES, text

    with report_files(EVALUATION_FILES, options) as write:
        report = vggexport.evaluate(
            parsed.taken(
                vggexport.EvaluateOptions,
                options,
                table=options["csv"],
                pictures=parsed.pictures(options),
                run=parsed.running(options),
                engine=vggexport.EngineOptions(
                    options["engine"], options["address"], options["workers"]
                ),
            ),
            terminal.make_progress(),
        )
        terminal.show(text.evaluation(report), report, as_json=json)
        write(report)
    fail_check(report.failures, "the gate failed")
