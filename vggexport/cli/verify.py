"""``vggexport verify``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli import options as shared
from vggexport.cli.group import fail_check
from vggexport.cli.picture_options import picture_options
from vggexport.cli.preprocessing_options import preprocessing_of_option
from vggexport.cli.value_types import Share, finite


@click.command()
@shared.artifacts_argument
@click.option(
    "--reference",
    metavar="ARTIFACT",
    help="Compare the others with this one; keras stands for the Keras network of their weights. "
    " [default: the first artifact]",
)
@shared.image_options(
    None,
    "Take images from a folder of any depth, an .npz of uint8 NHWC, or synthetic ones.",
    "Take at most this many images.  [default: 200; 4 on QNNExecutionProvider]",
)
@shared.combined(*picture_options)
@shared.max_unreadable_option
@shared.run_options
@preprocessing_of_option
@shared.flag("--layers", "Also compare every layer.")
@click.option(
    "--layer-images",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Compare layers on at most this many images.",
)
@shared.strict_option(
    "Refuse images that an artifact was calibrated on, and preprocessing that is assumed."
)
@click.option(
    "--max-abs",
    type=float,
    callback=finite,
    help="Allow at most this difference of one probability.",
)
@click.option(
    "--min-sqnr",
    type=float,
    callback=finite,
    metavar="DB",
    help="Require this SQNR of the probabilities.",
)
@click.option(
    "--min-logit-sqnr",
    type=float,
    callback=finite,
    metavar="DB",
    help="Require this SQNR of the logits.",
)
@click.option(
    "--min-top1-agreement",
    type=Share(),
    help="Require the same best class on this share of images, such as 99% or 0.99.",
)
@click.option(
    "--diagnose/--no-diagnose", default=True, help="Try the known mistakes on a file that fails."
)
@shared.file_option(
    "--golden",
    "Compare with the answers that --save-golden stored, on its images, instead of --reference "
    "and --data.",
)
@shared.file_option(
    "--answers",
    "Compare with the probabilities that your own program gets: an .npz of uint8 images and "
    "probabilities.",
)
@shared.file_option("--save-golden", "Store the images and the reference's answers in this file.")
@shared.report_file_options("markdown", "junit", "html")
@shared.common_options
def verify(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Compare files, weights and runtimes with each other.

    ARTIFACTS are .onnx and .tflite files, SavedModel directories, and weights files (or
    random:SEED), which stand for the Keras network. All run on the same images. For a file of
    another converter --preprocessing-of states what it wants done to pixels; otherwise it is found
    by trying the conventions against a known network. Limits that you do not set follow from the
    precisions of the artifacts. The exit code is 1 if one is not met.
    """
    import vggexport
    from vggexport.cli import parsed, terminal
    from vggexport.cli.report_files import report_files
    from vggexport.metrics.tolerance import Tolerance
    from vggexport.reports import VERIFICATION_FILES, text

    limits = Tolerance(
        "as asked for",
        max_abs=options["max_abs"],
        min_logit_sqnr_db=options["min_logit_sqnr"],
        min_sqnr_db=options["min_sqnr"],
        min_top1_agreement=options["min_top1_agreement"],
    )
    with report_files(VERIFICATION_FILES, options) as write:
        report = vggexport.verify(
            parsed.taken(
                vggexport.VerifyOptions,
                options,
                pictures=parsed.pictures(options),
                run=parsed.running(options),
                limits=limits,
            ),
            terminal.make_progress(),
        )
        rendered = text.verification(report, verbose=shared.is_verbose())
        terminal.show(rendered, report, as_json=json)
        write(report)
    fail_check(report.failures, "outside the tolerances")
