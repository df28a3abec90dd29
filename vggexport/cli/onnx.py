"""``vggexport onnx``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from vggexport.cli.group import fail_check
from vggexport.cli.options import (
    DYNAMIC,
    Batch,
    calibration_options,
    common_options,
    file_path,
    network_options,
    output_options,
)
from vggexport.spec import Precision

_SOURCES = (
    ParameterSource.DEFAULT_MAP,
    ParameterSource.ENVIRONMENT,
    ParameterSource.COMMANDLINE,
)
"""From the configuration file to the command line."""


@click.command()
@network_options
@output_options("vgg_d[_PRECISION].onnx")
@click.option("--batch", type=Batch(), default=DYNAMIC, show_default=True, help="Images at a time.")
@click.option(
    "--precision",
    type=click.Choice([precision.value for precision in Precision]),
    default=Precision.FLOAT32.value,
    show_default=True,
    help="Of the weights and the computation.",
)
@click.option("--quantize", is_flag=True, help="Short for --precision int8.")
@click.option(
    "--input-dtype",
    type=click.Choice(["float32", "uint8"]),
    default="float32",
    show_default=True,
    help="Raw RGB 0...255 either way, NHWC.",
)
@click.option("--opset", type=int, help="ONNX operator set, 13 to 18.  [default: 17]")
@calibration_options
@click.option(
    "--ranges", type=file_path(), help="Ranges of vggexport calibrate, instead of calibrating."
)
@click.option(
    "--check/--no-check",
    default=True,
    show_default=True,
    help="Run the file against its reference.",
)
@click.option(
    "--min-logit-sqnr",
    type=float,
    metavar="DB",
    help="What the check demands.  [default: 80 float32, 45 float16, 12 int8]",
)
@common_options
@click.pass_context
def onnx(ctx: click.Context, /, json: bool, **options: Any) -> None:  # noqa: FBT001
    """Write an ONNX file, and check what was written.

    Float files are checked against the Keras network, int8 against the float32 file. A file that
    fails is not kept, and the exit code is 1.
    """
    from vggexport import workflows
    from vggexport.cli import parsed, terminal
    from vggexport.reports import text

    onnx_options = workflows.OnnxOptions(
        output=options["output"],
        precision=_precision(ctx, options),
        input_dtype=options["input_dtype"],
        batch=options["batch"],
        opset=options["opset"],
        ranges=options["ranges"],
        check=options["check"],
        min_logit_sqnr_db=options["min_logit_sqnr"],
        force=options["force"],
    )
    report = workflows.build_onnx(
        parsed.network(options), parsed.calibrating(options), onnx_options, terminal.make_progress()
    )
    terminal.show(text.build(report), report, as_json=json)
    fail_check(
        report.failures,
        f"{Path(report.artifact.path).name} was not kept; find the cause, or accept less with "
        "--min-logit-sqnr or --no-check",
    )


def _precision(ctx: click.Context, options: dict[str, Any]) -> Precision:
    """What both options say together; said in different places, the nearer one wins."""
    precision = Precision(options["precision"])
    if not options["quantize"] or precision is Precision.INT8:
        return precision
    quantize_from, precision_from = (_nearness(ctx, name) for name in ("quantize", "precision"))
    if quantize_from == precision_from:
        raise click.UsageError(
            f"--quantize means --precision int8, and --precision {precision.value} was given", ctx
        )
    return Precision.INT8 if quantize_from > precision_from else precision


def _nearness(ctx: click.Context, name: str) -> int:
    """Where an option's value came from: the higher, the nearer to the user."""
    source = ctx.get_parameter_source(name)
    return [None, *_SOURCES].index(source if source in _SOURCES else None)
