"""``vggexport onnx``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli import building
from vggexport.cli.options import flag

TARGETS = ("tensorrt", "snapdragon")
"""Literals here and not imported: ``--help`` must not import numpy. A test holds them equal."""


@click.command()
@building.file_options("onnx")
@click.option(
    "--opset",
    type=int,
    help="Write this version of the ONNX operator set, 13 to 18.  [default: 17]",
)
@flag(
    "--symmetric",
    "Quantize activations with zero point 0, as TensorRT demands; CPUs compute such a file in "
    "float, and outputs of ReLU have 7 bits.",
)
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    help="Lay the file out for this alone: tensorrt, with --symmetric, or snapdragon, Qualcomm's "
    "NPU, with one image at a time and the last layer in float.",
)
@click.option(
    "--activation-bits",
    type=click.Choice(["8", "16"]),
    help="Quantize activations to so many bits, for --target snapdragon. With 8 its answers are "
    "not those of a CPU.  [default: 16]",
)
@flag(
    "--compile",
    "Compile it for --target snapdragon, too: NAME_ctx.onnx, for Snapdragon 8 Gen 2. Needs the "
    "extra qnn.",
)
@click.pass_context
def onnx(ctx: click.Context, /, json: bool, **options: Any) -> None:  # noqa: FBT001
    """Write an ONNX file, and check it.

    Float files are checked against the Keras network, int8 against the float32 file. A file that
    fails is not kept, and the exit code is 1.
    """
    extra = {name: options[name] for name in ("opset", "symmetric", "target", "compile")}
    extra["activation_bits"] = options["activation_bits"] and int(options["activation_bits"])
    building.build(ctx, "onnx", options, as_json=json, **extra)
