"""``vggexport savedmodel``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli import building
from vggexport.cli.options import flag


@click.command()
@building.file_options("savedmodel")
@flag("--serving", "Lay the SavedModel out as OUTPUT/1/, as TensorFlow Serving wants it.")
@click.pass_context
def savedmodel(ctx: click.Context, /, json: bool, **options: Any) -> None:  # noqa: FBT001
    """Write a SavedModel directory, and check it.

    The directory is compared with the Keras network.

    Every variable is stored once, and it loads wherever TensorFlow is. A directory that fails is
    not kept, and the exit code is 1.
    """
    building.build(ctx, "savedmodel", options, as_json=json, serving=options["serving"])
