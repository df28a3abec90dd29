"""Options that several commands share, as decorators, and what they are parsed into."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vggexport.cli.preprocessing_options import preprocessing_options
from vggexport.network.spec import (
    DEFAULT_CLASSES,
    DEFAULT_CONFIGURATION,
    DEFAULT_FC_UNITS,
    DEFAULT_INPUT_SIZE,
)
from vggexport.network.table import TABLE_1

Command = TypeVar("Command", bound=Callable[..., Any])

METHODS = ("minmax", "percentile", "entropy", "mse")
LAYOUTS = ("auto", "native", "keras", "torchvision")
DYNAMIC = "dynamic"
"""Literals here and not imported: ``--help`` must not import numpy. A test holds them equal."""

MAX_THREADS = 1024
"""Of a runtime: more than machines have cores. 5,000 took ONNX Runtime minutes to start on two."""


class Batch(click.ParamType[int | None]):
    """A number of images, or "dynamic" (None) for any."""

    name = "N|dynamic"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Parses one value."""
        if value is None or value == DYNAMIC:
            return None
        if str(value).isdecimal() and int(value) > 0:
            return int(value)
        return self.fail(f"{value!r} is neither a number from 1 nor {DYNAMIC!r}", param, ctx)


class Words(click.ParamType[tuple[str, ...]]):
    """Any names, separated by commas, each once."""

    name = "NAME,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Parses one value: text, or a list of the configuration file."""
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(dict.fromkeys(str(part).strip() for part in parts if str(part).strip()))


class Share(click.ParamType[float]):
    """A share from 0 to 1, as "0.82" or "82%"."""

    name = "SHARE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parses one value."""
        text = str(value).strip()
        scale = 100 if text.endswith("%") else 1
        try:
            share = float(text.removesuffix("%")) / scale
        except ValueError:
            share = float("nan")
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is not a share from 0 to 1, as 0.82 or 82%", param, ctx)
        return share


def finite(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
    """Callback of numbers: Click takes "nan" and "inf" for some, of which nan is in every range.

    Raises:
        click.BadParameter: It is one of those.
    """
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value!r} is not a finite number")
    return value


def file_path(**options: Any) -> Any:
    """A path, as ``pathlib.Path``."""
    return click.Path(path_type=Path, **options)


class Names(click.ParamType[tuple[str, ...]]):
    """Names from a fixed set, separated by commas, each once."""

    name = "NAME,..."

    def __init__(self, known: tuple[str, ...]) -> None:
        self.known = known

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Parses one value: text, or a list of the configuration file."""
        parts = value.split(",") if isinstance(value, str) else value
        names = tuple(dict.fromkeys(str(part).strip() for part in parts))
        for name in names:
            if name not in self.known:
                self.fail(f"{name!r} is not one of {', '.join(self.known)}", param, ctx)
        return names


def compose(command: Command, *decorators: Callable[[Command], Command]) -> Command:
    """Applies decorators so that their options are listed in this order."""
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def architecture_options(command: Command) -> Command:
    """``--config --classes --fc-units --input-size``."""
    return compose(
        command,
        click.option(
            "--config",
            type=click.Choice(tuple(TABLE_1), case_sensitive=False),
            default=DEFAULT_CONFIGURATION,
            show_default=True,
            metavar=f"[{'|'.join(TABLE_1)}]",
            help="Column of the paper's table 1.",
        ),
        click.option(
            "--classes",
            type=click.IntRange(min=2),
            help=f"Outputs of the last layer.  [default: from the weights, or {DEFAULT_CLASSES}]",
        ),
        click.option(
            "--fc-units",
            type=click.IntRange(min=1),
            help="Outputs of each hidden fully connected layer.  "
            f"[default: from the weights, or {DEFAULT_FC_UNITS}]",
        ),
        click.option(
            "--input-size",
            type=click.IntRange(min=1),
            help="Side of the square input in pixels.  "
            f"[default: from the weights, or {DEFAULT_INPUT_SIZE}]",
        ),
    )


def network_options(command: Command) -> Command:
    """The options of every command that builds a network."""
    return compose(
        command,
        click.option(
            "--weights",
            default="random:0",
            show_default=True,
            metavar="SOURCE",
            help="random[:SEED], imagenet (the VGG16 file that Keras publishes), or a file: .npz, "
            ".safetensors, Keras .h5, .weights.h5, .keras.",
        ),
        click.option(
            "--weights-layout",
            type=click.Choice(LAYOUTS),
            default="auto",
            show_default=True,
            help="Layout of the weights file; auto says which it took.",
        ),
        click.option("--weights-sha256", metavar="HEX", help="Refuse any other weights file."),
        click.option(
            "--init-missing",
            is_flag=True,
            help="Fill layers that the file lacks with seeded random weights.",
        ),
        architecture_options,
        preprocessing_options,
        click.option(
            "--strict",
            is_flag=True,
            help="Refuse to assume what the weights file does not say.",
        ),
        click.option(
            "--labels",
            type=file_path(dir_okay=False),
            help="One class name a line; they travel in the artifact.",
        ),
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Of initialisation and of the choice of images.",
        ),
    )


def calibration_options(command: Command) -> Command:
    """``--calibration-data --calibration-samples --calibration-method``."""
    return compose(
        command,
        click.option(
            "--calibration-data",
            default="synthetic",
            show_default=True,
            metavar="SOURCE",
            help="A folder of images of any depth, an .npz of uint8 NHWC, or synthetic.",
        ),
        click.option(
            "--calibration-samples",
            type=click.IntRange(min=1),
            default=128,
            show_default=True,
            help="Number of images.",
        ),
        click.option(
            "--calibration-method",
            type=click.Choice(METHODS),
            default=METHODS[0],
            show_default=True,
            help="How ranges are taken from activations.",
        ),
    )


def input_dtype_option(command: Command) -> Command:
    """``--input-dtype``."""
    return click.option(
        "--input-dtype",
        type=click.Choice(["float32", "uint8"]),
        default="float32",
        show_default=True,
        help="Raw RGB 0...255 either way, NHWC.",
    )(command)


def check_options(command: Command) -> Command:
    """``--ranges --check --min-logit-sqnr``: how files are quantized and checked."""
    return compose(
        command,
        click.option(
            "--ranges",
            type=file_path(),
            help="Ranges of vggexport calibrate, instead of calibrating.",
        ),
        click.option(
            "--check/--no-check",
            default=True,
            show_default=True,
            help="Run each file against its reference.",
        ),
        click.option(
            "--min-logit-sqnr",
            type=float,
            metavar="DB",
            help="What the check demands.  [default: 80 float32, 45 float16, 15 dynamic-int8, "
            "12 int8, 8 int8-w4]",
        ),
    )


def output_options(default: str) -> Callable[[Command], Command]:
    """``-o/--output`` and ``--force``."""

    def decorate(command: Command) -> Command:
        return compose(
            command,
            click.option(
                "-o", "--output", type=file_path(), help=f"Where to.  [default: {default}]"
            ),
            click.option("--force", is_flag=True, help="Replace an existing output."),
        )

    return decorate


_REPORT_FILES = {
    "markdown": "For the summary of a CI job.",
    "junit": "For the dashboard of a CI server.",
    "html": "One page for a browser, with charts.",
    "csv": "A row a result, for a spreadsheet.",
    "save-samples": "Every timing, as JSON.",
}


def report_file_options(*names: str) -> Callable[[Command], Command]:
    """``--markdown --junit --html`` or some of them, and ``--force``."""

    def decorate(command: Command) -> Command:
        files = (
            click.option(f"--{name}", type=file_path(), metavar="FILE", help=_REPORT_FILES[name])
            for name in names
        )
        force = click.option("--force", is_flag=True, help="Replace existing reports.")
        return compose(command, *files, force)

    return decorate


def verbose_option(command: Command) -> Command:
    """``-v``, on the main group and on each command."""

    def remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001
        group: Any = ctx.find_root().command
        group.verbose = group.verbose or value

    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=remember,
        help="Show a traceback with an error.",
    )(command)


def common_options(command: Command) -> Command:
    """``--json`` and ``-v``."""
    return compose(
        command,
        click.option("--json", is_flag=True, help="Print one JSON document."),
        verbose_option,
    )
