"""``vggexport verify``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli.group import fail_check
from vggexport.cli.options import common_options


@click.command()
@click.argument("artifacts", nargs=-1, required=True)
@click.option(
    "--reference",
    metavar="ARTIFACT",
    help="What the others are held to.  [default: the first artifact]",
)
@click.option(
    "--data",
    default="synthetic",
    show_default=True,
    metavar="SOURCE",
    help="A folder of images of any depth, an .npz of uint8 NHWC, or synthetic.",
)
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Number of images, at most.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the choice of images.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of each runtime.  [default: its own]"
)
@click.option(
    "--provider",
    help="Execution provider of ONNX Runtime.  [default: CPUExecutionProvider]",
)
@click.option("--layers", is_flag=True, help="Compare every layer too.")
@click.option("--strict", is_flag=True, help="Refuse images that an artifact was calibrated on.")
@click.option("--max-abs", type=float, help="Largest difference of one probability allowed.")
@click.option("--min-sqnr", type=float, metavar="DB", help="Of the probabilities.")
@click.option("--min-logit-sqnr", type=float, metavar="DB", help="Of the logits.")
@click.option(
    "--min-top1-agreement",
    type=click.FloatRange(0, 1),
    help="Share of images with the same best class, 0 to 1.",
)
@common_options
def verify(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Hold ONNX and TFLite files, SavedModels and the Keras network to each other.

    ARTIFACTS are .onnx and .tflite files, SavedModel directories, and weights files (or
    random:SEED), which stand for the Keras network. All run on the same images. Limits that are not
    given are those of the artifacts' precisions; exit code 1 if one is not met.
    """
    from vggexport import workflows
    from vggexport.cli import terminal
    from vggexport.parity import Tolerance
    from vggexport.reports import text

    limits = Tolerance(
        "as asked for",
        max_abs=options["max_abs"],
        min_logit_sqnr_db=options["min_logit_sqnr"],
        min_sqnr_db=options["min_sqnr"],
        min_top1_agreement=options["min_top1_agreement"],
    )
    report = workflows.verify(
        workflows.VerifyOptions(
            artifacts=options["artifacts"],
            reference=options["reference"],
            data=options["data"],
            images=options["images"],
            seed=options["seed"],
            threads=options["threads"] or 0,
            provider=options["provider"],
            layers=options["layers"],
            strict=options["strict"],
            limits=limits,
        ),
        terminal.make_progress(),
    )
    terminal.show(text.verification(report), report, as_json=json)
    fail_check(report.failures, "outside the tolerances; --layers shows where they part")
