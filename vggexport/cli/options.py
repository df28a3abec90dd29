"""Options that several commands share, as decorators.

Defaults are shown by the main group's settings. Methods and runtimes are literals here and not
imported, as ``--help`` must not import numpy: a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from vggexport.cli.group import verbose_option
from vggexport.cli.value_types import AT_LEAST_0, AT_LEAST_1, Batch, Share, file_path
from vggexport.precision import Precision

Decorator = Callable[[Any], Any]

METHODS = ("minmax", "percentile", "entropy", "mse")
RUNTIMES = ("onnxruntime", "litert", "openvino", "tensorflow")

MAX_THREADS = 1024
"""Of a runtime: more than machines have cores. 5,000 took ONNX Runtime minutes to start on two."""


_TOLERANCES = [f"{p.profile.tolerance.min_logit_sqnr_db:g} {p.value}" for p in Precision]


def combined(*decorators: Decorator) -> Decorator:
    """Decorators as one, their options listed in this order."""

    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def flag(name: str, text: str) -> Decorator:
    """An option that is given or not."""
    return click.option(name, is_flag=True, help=text)


def file_option(name: str, text: str, metavar: str = "FILE") -> Decorator:
    """A path."""
    return click.option(name, type=file_path(), metavar=metavar, help=text)


def seed_option(of: str) -> Decorator:
    """``--seed``, with what follows from it."""
    return click.option("--seed", type=AT_LEAST_0, default=0, help=of)


def strict_option(text: str) -> Decorator:
    """``--strict``."""
    return click.option("--strict", is_flag=True, help=text)


def labels_option(text: str) -> Decorator:
    """``--labels``."""
    return click.option("--labels", type=file_path(dir_okay=False), help=text)


max_unreadable_option = click.option(
    "--max-unreadable",
    type=Share(),
    default="5%",
    help="Leave out unreadable images up to this share of all; one may always be left out, "
    "unless the share is 0.",
)

calibration_options = combined(
    click.option(
        "--calibration-data",
        default="synthetic",
        metavar="SOURCE",
        help="Take images from a folder of any depth, an .npz of uint8 NHWC, or synthetic ones.",
    ),
    click.option(
        "--calibration-samples", type=AT_LEAST_1, default=128, help="Take at most this many images."
    ),
    click.option(
        "--calibration-method",
        type=click.Choice(METHODS),
        help="Choose ranges from activations by this method; else by minmax, or by mse where a "
        "trial shows that int8 is clearly better with it.",
    ),
    max_unreadable_option,
)

ranges_option = click.option(
    "--ranges",
    type=file_path(),
    help="Take activation ranges from this file of vggexport calibrate, instead of calibrating.",
)

rescale_option = flag(
    "--rescale-float16",
    "In float16 files, divide layers that reach beyond float16 by a power of two and multiply the "
    "next ones by it, which changes no answer.",
)

input_dtype_option = click.option(
    "--input-dtype",
    type=click.Choice(["float32", "uint8"]),
    default="float32",
    help="Take images as float32 or uint8; either way raw RGB 0...255, NHWC.",
)

check_options = combined(
    click.option("--check/--no-check", default=True, help="Compare each file with its reference."),
    click.option(
        "--min-logit-sqnr",
        type=float,
        metavar="DB",
        help=f"Fail the check below this SQNR of the logits.  [default: {', '.join(_TOLERANCES)}]",
    ),
)


def batch_option(default: str | None, text: str) -> Decorator:
    """``--batch`` of what is built."""
    return click.option("--batch", type=Batch(), default=default, help=text)


def force_option(what: str) -> Decorator:
    """``--force``."""
    return click.option("--force", is_flag=True, help=f"Replace {what}.")


def output_options(default: str | None, text: str = "Write the output here.") -> Decorator:
    """``-o/--output`` and ``--force``; where there is no default name one has to be given."""
    told = f"{text}  [default: {default}]" if default else text
    return combined(
        click.option("-o", "--output", type=file_path(), required=not default, help=told),
        force_option("an existing output"),
    )


artifacts_argument = click.argument("artifacts", nargs=-1, required=True)

labelled_data_option = click.option(
    "--data",
    type=file_path(),
    required=True,
    metavar="DIR",
    help="Read labelled images from a folder that has one folder per class.",
)


def image_options(count: int | None, data: str, images: str) -> Decorator:
    """``--data --images --seed``: images of any source; a default of None is told by the help."""
    return combined(
        click.option("--data", default="synthetic", metavar="SOURCE", help=data),
        click.option("--images", type=AT_LEAST_1, default=count, help=images),
        seed_option("Choose images by this seed."),
    )


threads_option = click.option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    help="Give each runtime this many threads.  [default: the runtime's own choice]",
)

run_options = combined(
    threads_option,
    click.option(
        "--provider",
        help="Run ONNX files on this execution provider of ONNX Runtime.  "
        "[default: CPUExecutionProvider]",
    ),
    click.option(
        "--runtime",
        type=click.Choice(RUNTIMES),
        help="Run files in this runtime where it reads them.  [default: onnxruntime for .onnx, "
        "litert for .tflite]",
    ),
)


REPORT_FILES = {
    "markdown": "Write the report as Markdown, for the summary of a CI job.",
    "junit": "Write the report as JUnit XML, for the dashboard of a CI server.",
    "html": "Write the report as one HTML page with charts.",
    "csv": "Write the results as CSV, one row each.",
    "save-samples": "Write every timing as JSON.",
}


def report_file_options(*names: str) -> Decorator:
    """``--markdown --junit --html`` or some of them, and ``--force``."""
    files = (
        click.option(f"--{name}", type=file_path(), metavar="FILE", help=REPORT_FILES[name])
        for name in names
    )
    return combined(*files, force_option("existing reports"))


def is_verbose() -> bool:
    """Whether ``-v`` was given to the command that runs."""
    group: Any = click.get_current_context().find_root().command
    return bool(getattr(group, "verbose", False))


common_options = combined(flag("--json", "Print one JSON document."), verbose_option)
