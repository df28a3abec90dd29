"""``vggexport tflite``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli import building
from vggexport.cli.options import flag
from vggexport.precision import Precision


@click.command()
@building.file_options("tflite")
@flag("--full-integer", "Write int8 with uint8 in and out and no float operator at all, for NPUs.")
@click.pass_context
def tflite(ctx: click.Context, /, json: bool, **options: Any) -> None:  # noqa: FBT001
    """Write a TFLite file, and check it.

    An int8 file has the scales and weights of the ONNX file of the same ranges. float32, float16
    and dynamic-int8 are checked against the Keras network, the others against the float32 file. A
    file that fails is not kept, and the exit code is 1.
    """
    extra = _full_integer(ctx, options) if options["full_integer"] else {}
    building.build(ctx, "tflite", options, as_json=json, **extra)


def _full_integer(ctx: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """What ``--full-integer`` settles, unless the user said otherwise."""
    precision = building.precision(ctx, options)
    if precision is not Precision.INT8 and building.nearness(ctx, "precision"):
        raise click.UsageError(
            f"--full-integer means --precision int8, and --precision {precision.value} was given",
            ctx,
        )
    if options["input_dtype"] != "uint8" and building.nearness(ctx, "input_dtype"):
        raise click.UsageError(
            f"--full-integer takes uint8 images, and --input-dtype {options['input_dtype']} was "
            "given",
            ctx,
        )
    return {"full_integer": True, "precision": Precision.INT8, "input_dtype": "uint8"}
