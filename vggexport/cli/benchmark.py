"""``vggexport benchmark``."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from vggexport.cli import options as shared
from vggexport.cli.group import fail_check
from vggexport.cli.value_types import AT_LEAST_0, AT_LEAST_1, Numbers, Share, file_path, finite

MAX_BATCH = 4096
"""Images: 2.5 GB as float32 at 224x224."""


@click.command()
@shared.artifacts_argument
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    help="Run ONNX files on this device.",
)
@click.option(
    "--provider",
    help="Run ONNX files on this execution provider of ONNX Runtime.  [default: the device's]",
)
@click.option(
    "--runtime",
    type=click.Choice(shared.RUNTIMES),
    multiple=True,
    help="Run files in this runtime where it reads them; give it more than once to compare "
    "runtimes.  [default: onnxruntime for .onnx, litert for .tflite]",
)
@click.option(
    "--batch",
    type=Numbers(MAX_BATCH),
    default="1",
    help="Run this many images at a time; list several to measure each.",
)
@click.option(
    "--threads",
    type=Numbers(shared.MAX_THREADS),
    help="Give each runtime this many threads; list several to measure each.  [default: one per "
    "physical core]",
)
@click.option(
    "--warmup", type=AT_LEAST_0, default=3, help="Discard this many runs after the first."
)
@click.option(
    "--runs",
    type=AT_LEAST_1,
    default=64,
    help="Count at least this many runs; p90 needs 64, p95 130, p99 662.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0),
    callback=finite,
    default=5.0,
    metavar="SECONDS",
    help="Keep counting runs for at least this long.",
)
@click.option(
    "--launches",
    type=AT_LEAST_1,
    default=5,
    help="Divide the runs of each artifact among this many processes; with 5 or more, the interval "
    "covers how processes differ.",
)
@click.option(
    "--scenario",
    type=click.Choice(["single-stream", "offline"]),
    default="single-stream",
    help="Time single runs, or whole turns for the throughput.",
)
@shared.flag("--allow-fallback", "Measure on the CPU what the device does not run, and say so.")
@shared.flag("--no-tf32", "Compute float32 on CUDA in float32, not in TF32.")
@shared.flag(
    "--cuda-graph", "Record a run on CUDA once and repeat it: its kernels are launched together."
)
@click.option(
    "--baseline",
    type=file_path(),
    help="Compare with the --json output of an earlier run, or with an earlier artifact, which "
    "is then measured too.",
)
@click.option(
    "--max-regression",
    type=Share(whole=False),
    default="5%",
    help="Allow at most this much more time than the baseline takes.",
)
@shared.strict_option("Fail if the gate is inconclusive.")
@click.option(
    "--sustained",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    metavar="MINUTES",
    help="Keep measuring for this many minutes, and show each of them.",
)
@click.option(
    "--golden",
    type=file_path(),
    help="Give no latency for a file whose answers differ from those of this file of "
    "verify --save-golden.",
)
@click.option(
    "--processes",
    type=AT_LEAST_1,
    default=1,
    help="Also measure this many processes of each artifact at once.",
)
@shared.flag("--layers", "Also measure the time of each layer.")
@shared.seed_option("Generate the images from this seed.")
@shared.report_file_options("save-samples", "csv", "markdown", "html")
@shared.common_options
@click.pass_context
def benchmark(ctx: click.Context, /, json: bool, **options: Any) -> None:  # noqa: FBT001
    """Measure latency, throughput and memory on CPU and CUDA.

    ARTIFACTS are .onnx and .tflite files, SavedModel directories, and weights files (or
    random:SEED), which stand for the Keras network. Several are measured in turn, so that a drift
    of the machine affects all alike; each is compared with the first. The exit code is 1 if one
    became slower than --max-regression allows (with --baseline) or answers wrongly (with --golden).
    """
    import vggexport
    from vggexport.cli import parsed, terminal
    from vggexport.cli.report_files import report_files
    from vggexport.metrics.timing import Scenario
    from vggexport.reports import LATENCY_FILES, text

    _check_baseline(ctx)
    with report_files(LATENCY_FILES, options) as write:
        report = vggexport.benchmark(
            parsed.taken(
                vggexport.BenchmarkOptions,
                options,
                runtimes=options["runtime"],
                batches=options["batch"],
                threads=options["threads"] or (),
                warm_up=options["warmup"],
                duration_s=options["duration"],
                scenario=Scenario(options["scenario"]),
                sustained_minutes=options["sustained"] or 0.0,
                tf32=not options["no_tf32"],
            ),
            terminal.make_progress(),
        )
        terminal.show(text.latency(report), report, as_json=json)
        write(report)
    fail_check(report.wrong, "no latency is given")
    fail_check(report.failures, "slower than --max-regression allows")


def _check_baseline(ctx: click.Context) -> None:
    """Refuses what the gate was told on the command line where there is nothing to compare with."""
    for name in ("max_regression", "strict"):
        typed = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if typed and ctx.params["baseline"] is None:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(
                f"{option} has nothing to compare with: name an earlier artifact, or the --json "
                "output of an earlier run, with --baseline",
                ctx,
            )
