"""``vggexport inspect``."""

from __future__ import annotations

from pathlib import Path

import click

from vggexport.cli.group import fail_check
from vggexport.cli.options import common_options
from vggexport.cli.value_types import file_path
from vggexport.precision import Precision


@click.command()
@click.argument("artifact", type=file_path())
@click.option(
    "--require",
    type=click.Choice([Precision.INT8.value]),
    help="Exit 1 unless everything is computed in this precision; a float operator in between "
    "fails.",
)
@common_options
def inspect(artifact: Path, require: str | None, json: bool) -> None:  # noqa: FBT001
    """Show what a model file holds, and what its runtime computes."""
    import vggexport
    from vggexport.cli import terminal
    from vggexport.reports import text

    report = vggexport.inspect(artifact, terminal.make_progress())
    terminal.show(text.inspection(report), report, as_json=json)
    if require:
        fail_check(report.not_integer(), f"{artifact.name} is not {require} throughout")
