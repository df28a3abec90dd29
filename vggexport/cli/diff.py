"""``vggexport diff``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vggexport.cli.options import common_options, report_file_options
from vggexport.cli.value_types import file_path


@click.command()
@click.argument("old", type=file_path())
@click.argument("new", type=file_path())
@report_file_options("markdown")
@common_options
def diff(json: bool, old: Path, new: Path, **options: Any) -> None:  # noqa: FBT001
    """Show what changed between two artifacts or two bundles.

    Weights by layer, activation ranges, graph and size are read from the files, which are not run;
    accuracy and latency come from the reports in the bundles.
    """
    import vggexport
    from vggexport.cli import terminal
    from vggexport.cli.report_files import report_files
    from vggexport.reports import DIFFERENCE_FILES, text

    with report_files(DIFFERENCE_FILES, options) as write:
        report = vggexport.diff(old, new, terminal.make_progress())
        terminal.show(text.difference(report), report, as_json=json)
        write(report)
