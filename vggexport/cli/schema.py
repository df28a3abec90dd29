"""``vggexport schema``."""

from __future__ import annotations

import json

import click

from vggexport.cli.group import verbose_option


@click.command()
@click.argument("name", required=False)
@verbose_option
def schema(name: str | None) -> None:
    """Print the JSON Schema of what a command writes with --json.

    Without NAME, list the documents.
    """
    from vggexport.results.schemas import DOCUMENTS, json_schema

    click.echo("\n".join(DOCUMENTS) if name is None else json.dumps(json_schema(name), indent=2))
