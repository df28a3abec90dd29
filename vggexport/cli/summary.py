"""``vggexport summary``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli.options import architecture_options, common_options


@click.command()
@architecture_options
@common_options
def summary(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Print the network as a table: layers, shapes, parameters, MACs, receptive fields."""
    from vggexport import workflows
    from vggexport.cli import parsed, terminal
    from vggexport.reports import text

    report = workflows.summarize(parsed.spec_request(options))
    terminal.show(text.summary(report), report, as_json=json)
