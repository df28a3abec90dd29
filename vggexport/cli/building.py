"""What the commands that write one file share: options, and from them to a report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vggexport.cli import options as shared
from vggexport.cli.group import fail_check
from vggexport.cli.network_options import network_options
from vggexport.cli.value_types import DYNAMIC
from vggexport.formats.registry import FORMATS
from vggexport.precision import Precision

if TYPE_CHECKING:  # it needs numpy, which a command's help does not
    from vggexport.results.build import BuildReport

_SOURCES = (
    ParameterSource.DEFAULT_MAP,
    ParameterSource.ENVIRONMENT,
    ParameterSource.COMMANDLINE,
)
"""From the configuration file to the command line."""


def file_options(file_format: str) -> shared.Decorator:
    """The options of a command that writes one file."""
    row = FORMATS[file_format]
    precisions = row.precisions
    named = f"vgg_d{'[_PRECISION]' if len(precisions) > 1 else ''}{row.suffix}"

    quantizes = len(precisions) > 1
    return shared.combined(
        network_options,
        shared.output_options(named),
        shared.batch_option(str(row.batch or DYNAMIC), "Take this many images at a time."),
        click.option(
            "--precision",
            type=click.Choice([precision.value for precision in precisions]),
            default=Precision.FLOAT32.value,
            help="Write weights, and compute, in this precision.",
        ),
        shared.input_dtype_option,
        *(_QUANTIZING if quantizes else ()),
        shared.check_options,
        shared.common_options,
    )


_quantize_option = shared.flag("--quantize", "Write int8: short for --precision int8.")
_QUANTIZING = (
    _quantize_option,
    shared.calibration_options,
    shared.ranges_option,
    shared.rescale_option,
)


def build(
    ctx: click.Context, file_format: str, options: dict[str, Any], *, as_json: bool, **extra: Any
) -> None:
    """Builds the file that the options ask for, shows the report, and fails if its check did.

    ``extra`` are further fields of ``vggexport.FileOptions``, or other values for them.
    """
    import vggexport
    from vggexport.cli import parsed, terminal
    from vggexport.reports import text

    chosen = {
        "output": options["output"],
        "precision": precision(ctx, options),
        "input_dtype": options["input_dtype"],
        "batch": options["batch"],
    }
    report = vggexport.build(
        parsed.network(options),
        parsed.calibrating(options),
        vggexport.FileOptions(file_format, **chosen | extra),
        parsed.building(options),
        terminal.make_progress(),
    )
    data = {"data": options["calibration_data"]} if "calibration_data" in options else {}
    terminal.show(text.build(report, options["weights"], **data), report, as_json=as_json)
    fail_check(
        report.failures,
        f"{Path(report.artifact.path).name} was not kept; {ways_out([report])}",
    )


def ways_out(reports: Iterable[BuildReport]) -> str:
    """What to do where files failed their checks."""
    if any(report.check and report.check.can_be_rescaled for report in reports):
        return "pass --rescale-float16, which divides such layers and changes no answer"
    return "find the cause, or accept less with --min-logit-sqnr or --no-check"


def precision(ctx: click.Context, options: dict[str, Any]) -> Precision:
    """What ``--precision`` and ``--quantize`` say together; in different places the nearer wins.

    Raises:
        click.UsageError: They were given in one place and differ.
    """
    chosen = Precision(options["precision"])
    if not options.get("quantize") or chosen is Precision.INT8:
        return chosen
    quantize_from, precision_from = (nearness(ctx, name) for name in ("quantize", "precision"))
    if quantize_from == precision_from:
        raise click.UsageError(
            f"--quantize means --precision int8, and --precision {chosen.value} was given", ctx
        )
    return Precision.INT8 if quantize_from > precision_from else chosen


def nearness(ctx: click.Context, name: str) -> int:
    """Where an option's value came from: 0 for its default, the higher, the nearer to the user."""
    source = ctx.get_parameter_source(name)
    return [None, *_SOURCES].index(source if source in _SOURCES else None)
