"""``vggexport bundle``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli.group import fail_check
from vggexport.cli.options import common_options, image_options, labels_option, output_options
from vggexport.cli.value_types import Size, file_path

LAYOUTS = ("plain", "triton", "tf-serving", "ort-mobile")
"""Literals here and not imported: ``--help`` must not import numpy. A test holds them equal."""


@click.command()
@click.argument("artifacts", nargs=-1, required=True, type=file_path())
@output_options(None, "Where to: an archive if it ends in .zip, else a folder.")
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default=LAYOUTS[0],
    help="How models are laid out: as they are, or for a server or a small runtime.",
)
@click.option(
    "--report",
    "reports",
    type=file_path(),
    multiple=True,
    metavar="FILE",
    help="What verify, evaluate, benchmark or a build command wrote with --json: its figures go "
    "into the model card, and one that failed stops it. Several.",
)
@click.option(
    "--golden",
    type=file_path(),
    metavar="FILE",
    help="Golden images and a reference's answers, from verify --save-golden.",
)
@image_options(
    8,
    "Golden images, instead: a folder of images, an .npz of uint8 NHWC, or synthetic. The finest "
    "model answers for them.",
    "Number of golden images, at most.",
)
@labels_option("One class name a line, or JSON.  [default: those that the artifacts carry]")
@click.option(
    "--preprocessing",
    metavar="NAME",
    help="Confirm the preprocessing that the artifacts record, as caffe; another one is refused.",
)
@click.option("--licence", metavar="TEXT", help="Of the weights.")
@click.option(
    "--weights-source",
    metavar="TEXT",
    help="Where the weights came from.  [default: what the artifacts say]",
)
@click.option("--sign", type=file_path(), metavar="KEY", help="Ed25519 private key in PEM.")
@click.option("--max-size", type=Size(), help="Gate: what each model may have, as 100MB.")
@click.option(
    "--allow-untrained", is_flag=True, help="Pack random weights and synthetic calibration."
)
@common_options
def bundle(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Pack models for a team that integrates them: with what it takes to use and to check them.

    ARTIFACTS are .onnx and .tflite files and SavedModel directories of one network. The same inputs
    give the same bytes; dates are SOURCE_DATE_EPOCH's, or 1980.
    """
    import vggexport
    from vggexport.cli import terminal
    from vggexport.reports import text

    options["max_bytes"] = options.pop("max_size")
    report = vggexport.bundle(vggexport.BundleOptions(**options), terminal.make_progress())
    terminal.show(text.bundle(report), report, as_json=json)
    fail_check(report.failures, "nothing was packed")
