"""``vggexport evaluate``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli.group import fail_check
from vggexport.cli.options import Share, common_options, file_path, report_file_options


@click.command()
@click.argument("artifacts", nargs=-1, required=True)
@click.option(
    "--data",
    type=file_path(),
    required=True,
    metavar="DIR",
    help="A folder of folders of images, named by class.",
)
@click.option(
    "--csv",
    type=file_path(),
    metavar="FILE",
    help="Columns image, a path in the folder, and label: instead of folders named by class.",
)
@click.option(
    "--labels",
    type=file_path(dir_okay=False),
    help="The networks' classes, one a line.  [default: those that they carry]",
)
@click.option("--images", type=click.IntRange(min=1), help="Number of images.  [default: all]")
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
@click.option(
    "--min-top1",
    type=Share(),
    help="Gate: share of images that each network must get right, as 82% or 0.82.",
)
@click.option(
    "--max-drop",
    type=Share(),
    help="Gate: how much less often than the first a network may be right, as 0.5% or 0.005.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse images that a network was calibrated on; an inconclusive gate fails.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where networks run: in this process, or on a Ray cluster.",
)
@click.option("--address", help="Of a Ray cluster.  [default: one started here]")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Runners at a time.  [default: one a processor]"
)
@report_file_options("markdown", "junit", "html")
@common_options
def evaluate(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Count how often files and weights are right on labelled images.

    ARTIFACTS are .onnx and .tflite files, SavedModel directories, and weights files (or
    random:SEED), which stand for the Keras network. The others are compared with the first. A gate
    fails where the 95 % interval is beyond the limit, and is inconclusive where it holds it.
    """
    import vggexport
    from vggexport.cli import terminal
    from vggexport.cli.report_files import report_files
    from vggexport.reports import EVALUATION_FILES, text

    with report_files(EVALUATION_FILES, options) as write:
        report = vggexport.evaluate(
            vggexport.EvaluateOptions(
                artifacts=options["artifacts"],
                data=options["data"],
                table=options["csv"],
                labels=options["labels"],
                images=options["images"],
                seed=options["seed"],
                run=vggexport.RunOptions(options["threads"] or 0, options["provider"]),
                min_top1=options["min_top1"],
                max_drop=options["max_drop"],
                strict=options["strict"],
                engine=vggexport.EngineOptions(
                    options["engine"], options["address"], options["workers"]
                ),
            ),
            terminal.make_progress(),
        )
        terminal.show(text.evaluation(report), report, as_json=json)
        write(report)
    fail_check(report.failures, "the gate is not passed")
