"""``vggexport bundle``."""

from __future__ import annotations

import re
from typing import Any

import click

from vggexport.cli.group import fail_check
from vggexport.cli.options import common_options, file_path

LAYOUTS = ("plain", "triton", "tf-serving", "ort-mobile")
"""Literals here and not imported: ``--help`` must not import numpy. A test holds them equal."""

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


class Size(click.ParamType[int]):
    """A number of bytes: "100MB", "95.5 MiB", 100000000."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parses one value."""
        size = r"(\d{1,18}(?:\.\d+)?)\s*([KMG]i?B)?"
        match = re.fullmatch(size, str(value).strip(), re.IGNORECASE)
        if match is None:
            self.fail(f"{value!r} is not a size such as 100MB or 95MiB", param, ctx)
        return int(float(match[1]) * _UNITS[(match[2] or "").upper()])


@click.command()
@click.argument("artifacts", nargs=-1, required=True, type=file_path())
@click.option(
    "-o",
    "--output",
    type=file_path(),
    required=True,
    help="Where to: an archive if it ends in .zip, else a folder.",
)
@click.option("--force", is_flag=True, help="Replace an existing output.")
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default=LAYOUTS[0],
    show_default=True,
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
@click.option(
    "--data",
    default="synthetic",
    show_default=True,
    metavar="SOURCE",
    help="Golden images, instead: a folder of images, an .npz of uint8 NHWC, or synthetic. The "
    "finest model answers for them.",
)
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Number of golden images, at most.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the choice of images.",
)
@click.option(
    "--labels",
    type=file_path(dir_okay=False),
    help="One class name a line.  [default: those that the artifacts carry]",
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
