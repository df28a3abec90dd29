"""``vggexport check-bundle``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vggexport.cli.group import fail_check
from vggexport.cli.options import common_options, file_option, threads_option
from vggexport.cli.value_types import Names, file_path
from vggexport.formats.registry import BUNDLED


@click.command("check-bundle")
@click.argument("bundle", type=file_path())
@file_option(
    "--public-key",
    "Demand a signature by the owner of this Ed25519 public key in PEM.",
    metavar="KEY",
)
@click.option(
    "--formats",
    type=Names(tuple(BUNDLED)),
    default=(),
    help="Run the models of these formats.  [default: all]",
)
@click.option("--run/--no-run", default=True, help="Run the models on the golden images.")
@threads_option
@click.option(
    "--provider",
    help="Run on this execution provider of ONNX Runtime what it takes, and hold it to "
    "the tolerance of accelerators.  [default: CPUExecutionProvider, and all models]",
)
@common_options
def check_bundle(json: bool, bundle: Path, **options: Any) -> None:  # noqa: FBT001
    """Check that a bundle is whole and answers rightly here.

    The files must be those that were packed, and the models must answer as they did there.

    BUNDLE is an archive or a folder of vggexport bundle. Nothing is written or run before every
    byte is known to be right.
    """
    import vggexport
    from vggexport.cli import terminal
    from vggexport.reports import text

    options["threads"] = options["threads"] or 0
    report = vggexport.check_bundle(
        vggexport.BundleCheckOptions(bundle, **options), terminal.make_progress()
    )
    terminal.show(text.bundle_check(report), report, as_json=json)
    fail_check(report.failures, "do not use the bundle")
