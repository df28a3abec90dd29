"""``vggexport benchmark``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli.group import fail_check
from vggexport.cli.options import (
    MAX_THREADS,
    common_options,
    file_path,
    finite,
    report_file_options,
)

MAX_BATCH = 4096
"""Images: 2.5 GB as float32 at 224x224."""


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers from 1, separated by commas, each once.

    Args:
        most: The largest; beyond it runtimes fail in ways of their own, or never end.
    """

    name = "N,..."

    def __init__(self, most: int) -> None:
        self.most = most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parses one value: text, or a number or list of the configuration file."""
        parts = value if isinstance(value, (list, tuple)) else str(value).split(",")
        numbers = [str(part).strip() for part in parts]
        if not numbers or not all(map(self._is_allowed, numbers)):
            expected = f"a list of numbers from 1 to {self.most}, such as 1,8,32"
            self.fail(f"{value!r} is not {expected}", param, ctx)
        return tuple(dict.fromkeys(map(int, numbers)))

    def _is_allowed(self, number: str) -> bool:
        is_short = number.isdecimal() and len(number) <= len(str(self.most))
        return is_short and 0 < int(number) <= self.most


class Percentage(click.ParamType[float]):
    """A share: "5%", or 0.05."""

    name = "PERCENT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parses one value."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share < 1:
            self.fail(f"{value!r} is not a share from 0% to below 100%, such as 5%", param, ctx)
        return share


@click.command()
@click.argument("artifacts", nargs=-1, required=True)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where ONNX files run.",
)
@click.option(
    "--provider",
    help="Execution provider of ONNX Runtime, by its name.  [default: the device's]",
)
@click.option(
    "--batch",
    type=Numbers(MAX_BATCH),
    default="1",
    show_default=True,
    help="Images a run; several in turn.",
)
@click.option(
    "--threads",
    type=Numbers(MAX_THREADS),
    help="Threads of each runtime; several in turn.  [default: one a physical core]",
)
@click.option(
    "--warmup",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="Runs behind the first that are not counted.",
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Counted runs, at least; p90 needs 64, p95 130, p99 662.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0),
    callback=finite,
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Of the counted runs, at least.",
)
@click.option(
    "--launches",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Processes that the runs of each artifact are divided among; 5 for an interval that "
    "holds the luck of a process.",
)
@click.option(
    "--scenario",
    type=click.Choice(["single-stream", "offline"]),
    default="single-stream",
    show_default=True,
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
    type=Percentage(),
    default="5%",
    show_default=True,
    help="How much more time than the baseline's is allowed.",
)
@click.option("--strict", is_flag=True, help="An inconclusive gate is a failure.")
@click.option(
    "--sustained",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    metavar="MINUTES",
    help="Go on for so long, and show each minute.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the images.",
)
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
    from vggexport.cli import terminal
    from vggexport.cli.report_files import report_files
    from vggexport.metrics.timing import Scenario
    from vggexport.reports import LATENCY_FILES, text

    with report_files(LATENCY_FILES, options) as write:
        report = vggexport.benchmark(
            vggexport.BenchmarkOptions(
                artifacts=options["artifacts"],
                device=options["device"],
                provider=options["provider"],
                batches=options["batch"],
                threads=options["threads"] or (),
                warm_up=options["warmup"],
                runs=options["runs"],
                duration_s=options["duration"],
                launches=options["launches"],
                scenario=Scenario(options["scenario"]),
                allow_fallback=options["allow_fallback"],
                baseline=options["baseline"],
                max_regression=options["max_regression"],
                strict=options["strict"],
                sustained_minutes=options["sustained"] or 0.0,
                seed=options["seed"],
            ),
            terminal.make_progress(),
        )
        terminal.show(text.latency(report), report, as_json=json)
        write(report)
    fail_check(report.failures, "slower than --max-regression allows")
