"""``vggexport doctor``."""

from __future__ import annotations

import click

from vggexport.cli.options import common_options
from vggexport.errors import Unavailable


@click.command()
@click.argument("required", nargs=-1, metavar="[ABILITY]...")
@common_options
def doctor(required: tuple[str, ...], json: bool) -> None:  # noqa: FBT001
    """Show what works here, and what installs the rest.

    Every runtime is imported and every execution provider started. With an ABILITY, such as onnx,
    verify or '.tflite files' (the first column of the table), the exit code is 3 if it is missing.
    """
    import vggexport
    from vggexport.cli import terminal
    from vggexport.reports import text

    report = vggexport.doctor(required, terminal.make_progress())
    terminal.show(text.doctor(report), report, as_json=json)
    if report.failures:
        raise Unavailable("; ".join(report.failures))
