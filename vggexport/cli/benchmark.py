"""``vggexport benchmark``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli.group import fail_check
from vggexport.cli.options import (
    MAX_THREADS,
    RUNTIMES,
    artifacts_argument,
    common_options,
    report_file_options,
    seed_option,
    strict_option,
)
from vggexport.cli.value_types import AT_LEAST_0, AT_LEAST_1, Numbers, Share, file_path, finite

MAX_BATCH = 4096
"""Images: 2.5 GB as float32 at 224x224."""


@click.command()
@artifacts_argument
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    help="Where ONNX files run.",
)
@click.option(
    "--provider",
    help="Execution provider of ONNX Runtime, by its name.  [default: the device's]",
)
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    multiple=True,
    help="What runs the files that several can run; given more than once, they take turns.  "
    "[default: onnxruntime for .onnx, litert for .tflite]",
)
@click.option(
    "--batch",
    type=Numbers(MAX_BATCH),
    default="1",
    help="Images a run; several in turn.",
)
@click.option(
    "--threads",
    type=Numbers(MAX_THREADS),
    help="Threads of each runtime; several in turn.  [default: one a physical core]",
)
@click.option(
    "--warmup",
    type=AT_LEAST_0,
    default=3,
    help="Runs behind the first that are not counted.",
)
@click.option(
    "--runs",
    type=AT_LEAST_1,
    default=64,
    help="Counted runs, at least; p90 needs 64, p95 130, p99 662.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0),
    callback=finite,
    default=5.0,
    metavar="SECONDS",
    help="Of the counted runs, at least.",
)
@click.option(
    "--launches",
    type=AT_LEAST_1,
    default=5,
    help="Processes that the runs of each artifact are divided among; 5 for an interval that "
    "holds the luck of a process.",
)
@click.option(
    "--scenario",
    type=click.Choice(["single-stream", "offline"]),
    default="single-stream",
    help="Time each run, or whole turns for the throughput.",
)
@click.option(
    "--allow-fallback",
    is_flag=True,
    help="Measure on the CPU what the device does not run, and say so.",
)
@click.option(
    "--baseline",
    type=file_path(),
    help="A former run's --json output, or a former artifact, which is then measured too.",
)
@click.option(
    "--max-regression",
    type=Share(whole=False),
    default="5%",
    help="How much more time than the baseline's is allowed.",
)
@strict_option("An inconclusive gate is a failure.")
@click.option(
    "--sustained",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    metavar="MINUTES",
    help="Go on for so long, and show each minute.",
)
@seed_option("Of the images.")
@report_file_options("save-samples", "csv", "markdown", "html")
@common_options
def benchmark(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Measure latency, throughput, load time and memory on CPU and CUDA.

    ARTIFACTS are .onnx and .tflite files, SavedModel directories, and weights files (or
    random:SEED), which stand for the Keras network. Several are measured in turn, so that a drift
    of the machine hits all alike; each is compared with the first. With --baseline, exit code 1 if
    one became slower than --max-regression allows.
    """
    import vggexport
    from vggexport.cli import parsed, terminal
    from vggexport.cli.report_files import report_files
    from vggexport.metrics.timing import Scenario
    from vggexport.reports import LATENCY_FILES, text

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
            ),
            terminal.make_progress(),
        )
        terminal.show(text.latency(report), report, as_json=json)
        write(report)
    fail_check(report.failures, "slower than --max-regression allows")
