"""``vggexport summary``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli.network_options import weights_options
from vggexport.cli.options import common_options, flag


@click.command()
@weights_options
@flag("--training", "Also show the paper's training recipe.")
@common_options
def summary(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Print the network: layers, shapes, parameters, MACs.

    With --weights, print the network of a weights file as it is read, and what happens to pixels
    before it.
    """
    import vggexport
    from vggexport.cli import parsed, terminal
    from vggexport.network.training_recipe import PAPER
    from vggexport.reports import text

    recipe = PAPER if options["training"] else None
    report = vggexport.summarize(parsed.network(options), recipe, terminal.make_progress())
    terminal.show(text.summary(report), report, as_json=json)
