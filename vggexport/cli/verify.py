"""``vggexport verify``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli.group import fail_check
from vggexport.cli.options import (
    MAX_THREADS,
    common_options,
    file_path,
    finite,
    report_file_options,
)


@click.command()
@click.argument("artifacts", nargs=-1, required=True)
@click.option(
    "--reference",
    metavar="ARTIFACT",
    help="What the others are held to; keras for the Keras network of their weights.  "
    "[default: the first artifact]",
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
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    help="Threads of each runtime.  [default: its own]",
)
@click.option(
    "--provider",
    help="Execution provider of ONNX Runtime.  [default: CPUExecutionProvider]",
)
@click.option("--layers", is_flag=True, help="Compare every layer too.")
@click.option("--strict", is_flag=True, help="Refuse images that an artifact was calibrated on.")
@click.option(
    "--max-abs",
    type=float,
    callback=finite,
    help="Largest difference of one probability allowed.",
)
@click.option("--min-sqnr", type=float, callback=finite, metavar="DB", help="Of the probabilities.")
@click.option("--min-logit-sqnr", type=float, callback=finite, metavar="DB", help="Of the logits.")
@click.option(
    "--min-top1-agreement",
    type=click.FloatRange(0, 1),
    callback=finite,
    help="Share of images with the same best class, 0 to 1.",
)
@click.option(
    "--diagnose/--no-diagnose",
    default=True,
    show_default=True,
    help="Try the known mistakes on a file that fails.",
)
@click.option(
    "--golden",
    type=file_path(),
    metavar="FILE",
    help="Images and a reference's answers that --save-golden stored, instead of --reference and "
    "--data.",
)
@click.option(
    "--save-golden",
    type=file_path(),
    metavar="FILE",
    help="Store images and the reference's answers.",
)
@report_file_options("markdown", "junit", "html")
@common_options
def verify(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Hold ONNX and TFLite files, SavedModels and the Keras network to each other.

    ARTIFACTS are .onnx and .tflite files, SavedModel directories, and weights files (or
    random:SEED), which stand for the Keras network. All run on the same images. Limits that are not
    given are those of the artifacts' precisions; exit code 1 if one is not met.
    """
    import vggexport
    from vggexport.cli import terminal
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
            vggexport.VerifyOptions(
                artifacts=options["artifacts"],
                reference=options["reference"],
                data=options["data"],
                images=options["images"],
                seed=options["seed"],
                run=vggexport.RunOptions(options["threads"] or 0, options["provider"]),
                layers=options["layers"],
                strict=options["strict"],
                limits=limits,
                diagnose=options["diagnose"],
                golden=options["golden"],
                save_golden=options["save_golden"],
                force=options["force"],
            ),
            terminal.make_progress(),
        )
        terminal.show(text.verification(report), report, as_json=json)
        write(report)
    fail_check(report.failures, "outside the tolerances")
