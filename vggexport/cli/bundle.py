"""``vggexport bundle``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli import options as shared
from vggexport.cli.group import fail_check
from vggexport.cli.preprocessing_options import preprocessing_of_option
from vggexport.cli.value_types import Size, file_path

LAYOUTS = ("plain", "triton", "tf-serving", "ort-mobile")
"""Literals here and not imported: ``--help`` must not import numpy. A test holds them equal."""


@click.command()
@click.argument("artifacts", nargs=-1, required=True, type=file_path())
@shared.output_options(None, "Write the bundle here: an archive if it ends in .zip, else a folder.")
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default=LAYOUTS[0],
    help="Lay the models out as they are, for a server, or for a small runtime.",
)
@click.option(
    "--report",
    type=file_path(),
    multiple=True,
    metavar="FILE",
    help="Put the figures of a --json report of verify, evaluate, benchmark or a build command "
    "into the model card; a report that failed is refused. May be given several times.",
)
@shared.file_option(
    "--golden",
    "Take golden images and the reference's answers from this file of verify --save-golden.",
)
@shared.image_options(
    8,
    "Take golden images from a folder, an .npz of uint8 NHWC, or synthetic ones, instead of "
    "--golden; the finest model answers for them.",
    "Take at most this many golden images.",
)
@shared.max_unreadable_option
@shared.labels_option(
    "Read class names from a file, one per line or JSON.  [default: those that the artifacts carry]"
)
@shared.flag(
    "--no-labels",
    "Pack a trained network of which nothing names the classes; labels.txt numbers them.",
)
@click.option(
    "--preprocessing",
    metavar="NAME",
    help="Confirm the preprocessing that the artifacts record, such as caffe; another one is "
    "refused.",
)
@preprocessing_of_option
@click.option("--licence", metavar="TEXT", help="State the licence of the weights.")
@click.option(
    "--golden-licence",
    metavar="TEXT",
    help="State the licence of the golden images, and whom to name; --data needs it.",
)
@click.option("--made-by", metavar="TEXT", help="Say in the model card who answers for the models.")
@click.option("--intended-use", metavar="TEXT", help="Say in the model card what they are for.")
@click.option("--limits", metavar="TEXT", help="Say in the model card what they are not for.")
@click.option(
    "--weights-source",
    metavar="TEXT",
    help="State where the weights come from.  [default: what the artifacts say]",
)
@shared.file_option(
    "--sign", "Sign the bundle with this Ed25519 private key in PEM.", metavar="KEY"
)
@click.option("--max-size", type=Size(), help="Fail if a model is larger than this, such as 100MB.")
@shared.flag("--allow-untrained", "Accept random weights and synthetic calibration.")
@shared.flag("--allow-one-class", "Accept calibration on images of one class.")
@shared.common_options
def bundle(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Pack models for the team that integrates them.

    The bundle holds what it takes to use the models and to check them.

    ARTIFACTS are .onnx and .tflite files and SavedModel directories of one network. The same inputs
    give the same bytes; dates are SOURCE_DATE_EPOCH's, or 1980.
    """
    import vggexport
    from vggexport.cli import terminal
    from vggexport.reports import text

    options["max_bytes"], options["reports"] = options.pop("max_size"), options.pop("report")
    options["preprocessing_of"] = dict(options["preprocessing_of"])
    report = vggexport.bundle(vggexport.BundleOptions(**options), terminal.make_progress())
    terminal.show(text.bundle(report, options["sign"]), report, as_json=json)
    fail_check(report.failures, "nothing was packed")
