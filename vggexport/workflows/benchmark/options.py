"""What is measured, how, and what it is held to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

from vggexport.errors import Advice, InputError, Unavailable
from vggexport.formats.registry import FORMATS, check_runtimes, format_or_keras, is_model
from vggexport.metrics.latency_ratio import MIN_LAUNCHES
from vggexport.metrics.placement import CPU_PROVIDER, CUDA_PROVIDER
from vggexport.metrics.timing import Scenario
from vggexport.opening.run_options import check_provider_used
from vggexport.system.machine import physical_cores
from vggexport.system.typed_options import OneOf, Positive, Sources, TypedOptions, Within
from vggexport.weights.files import FORMATS as WEIGHTS_FORMATS
from vggexport.weights.files import check_file
from vggexport.weights.sources import WORDS, is_word
from vggexport.workflows.benchmark.entry import Entry

DEFAULT_RUNS = 64
"""The fewest that support a p90."""

DEFAULT_DURATION_S = 5.0
DEFAULT_WARM_UP = 3
DEFAULT_MAX_REGRESSION = 0.05

CPU, CUDA = DEVICES = ("cpu", "cuda")

JSON_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class BenchmarkOptions(TypedOptions):
    """What a benchmark is asked for.

    Attributes:
        artifacts: Model files, SavedModel directories, or sources of weights for the Keras network.
        device: "cpu" or "cuda".
        provider: Execution provider for ONNX files; None for the device's.
        runtimes: What runs the files that several can run, in turn; empty for each format's first.
        batches: Images a run.
        threads: Of each runtime; empty for one a physical core.
        warm_up: Runs after the first that are not counted.
        runs: Counted runs, at least.
        duration_s: Seconds of them, at least.
        launches: Times that every artifact is launched anew, its runs divided among them.
        scenario: What is timed.
        allow_fallback: Measure on the CPU what the provider does not run.
        tf32: Let CUDA compute float32 in TF32, as it does by itself.
        cuda_graph: Have CUDA record a run once and repeat it.
        baseline: A former run's JSON, or a former artifact, which then takes turns with the others.
        max_regression: 0.05 allows 5 % more time than the baseline's.
        strict: An inconclusive gate is a failure.
        sustained_minutes: Go on for so long instead of ``runs`` and ``duration_s``; 0 for not.
        seed: Of the images.
        golden: A golden file, whose answers are to be given by what is measured.
        processes: Measure so many of each at once, too; 1 for not.
        layers: Also measure the time of each layer.
    """

    artifacts: Sources
    device: Annotated[str, OneOf(DEVICES)] = CPU
    provider: str | None = None
    runtimes: tuple[str, ...] = ()
    batches: tuple[Positive, ...] = (1,)
    threads: tuple[Positive, ...] = ()
    warm_up: Annotated[int, Within(0)] = DEFAULT_WARM_UP
    runs: Positive = DEFAULT_RUNS
    duration_s: Annotated[float, Within(0)] = DEFAULT_DURATION_S
    launches: Positive = MIN_LAUNCHES
    scenario: Scenario = Scenario.SINGLE_STREAM
    allow_fallback: bool = False
    tf32: bool = True
    cuda_graph: bool = False
    baseline: Path | None = None
    max_regression: Annotated[float, Within(0)] = DEFAULT_MAX_REGRESSION
    strict: bool = False
    sustained_minutes: float = 0.0
    seed: int = 0
    golden: Path | None = None
    processes: Positive = 1
    layers: bool = False

    @property
    def baseline_artifact(self) -> str | None:
        """A former artifact that takes turns with the others.

        Any other file is read as a former run: where it is none, that is what is said of it.
        """
        if self.baseline is None or self.baseline.suffix == JSON_SUFFIX:
            return None
        is_weights = self.baseline.suffix in WEIGHTS_FORMATS
        is_word = self.baseline.name.partition(":")[0] in WORDS
        return str(self.baseline) if is_model(self.baseline) or is_weights or is_word else None

    @property
    def threads_or_cores(self) -> tuple[int, ...]:
        """Numbers of threads to measure with."""
        return self.threads or (physical_cores(),)

    @property
    def execution_provider(self) -> str | None:
        """What ONNX Runtime is asked for; None for its CPU's.

        Raises:
            InputError: Device and provider contradict each other.
        """
        if self.device == CUDA and self.provider not in (None, CUDA_PROVIDER):
            raise InputError(
                f"the device cuda means {CUDA_PROVIDER}, and {self.provider} was asked for",
                Advice("leave out {} or {}", "device", "provider"),
            )
        chosen = CUDA_PROVIDER if self.device == CUDA else self.provider
        if chosen != CUDA_PROVIDER and (self.cuda_graph or not self.tf32):
            raise InputError(
                f"{chosen or CPU_PROVIDER} has neither CUDA graphs nor TF32",
                Advice("measure on CUDA with {} cuda", "device"),
                Advice("leave out {} and {}", "cuda_graph", "no_tf32"),
            )
        return None if chosen == CPU_PROVIDER else chosen

    def cells(self) -> list[Sequence[Entry]]:
        """What takes turns: all artifacts, for each number of threads and each batch.

        Raises:
            ArtifactError: A file does not exist.
            InputError: Options contradict each other, or nothing is run by a runtime or provider.
            Unavailable: A runtime has no such device, and no fallback is allowed.
            WeightsError: A file of weights is none.
        """
        provider = self.execution_provider
        for source in self._sources:
            if not (is_model(source) or is_word(source)):
                check_file(Path(source))  # before a process imports TensorFlow for it
        check_runtimes(self.runtimes, self.artifacts)
        check_provider_used(self._sources, self.provider, self.runtimes)
        if self.baseline_artifact and len(self.runtimes) > 1:
            raise InputError(
                f"with the baseline {self.baseline} everything runs in one runtime",
                Advice("give one {}", "runtime"),
            )
        cells = [
            tuple(self._entries(number, batch, provider))
            for number, batch in product(self.threads_or_cores, self.batches)
        ]
        for entry in cells[0]:
            on_cpu = provider == CUDA_PROVIDER and not entry.device_provider
            if on_cpu and not self.allow_fallback:
                raise Unavailable(
                    f"{entry.source} does not run on CUDA here, ONNX files do",
                    "export it to ONNX",
                    Advice("measure it on the CPU with {}", "allow_fallback"),
                )
            self._check_layers(entry)
        return list(cells)

    def _check_layers(self, entry: Entry) -> None:
        """Refuses a runtime of which no layer's time is to be had."""
        row = FORMATS[entry.format]
        if self.layers and not row.runtime(entry.runtime).times_nodes:
            able = [
                Advice(f"measure it with {{}} {r.name}", "runtime")
                for r in row.runtimes
                if r.times_nodes
            ]
            raise Unavailable(
                f"{entry.source}: {entry.runtime} does not tell from Python what a layer takes",
                *able,
                Advice("leave out {}", "layers"),
            )

    @property
    def _sources(self) -> list[str]:
        """All that takes turns."""
        return [*filter(None, (self.baseline_artifact, *self.artifacts))]

    def _entries(self, threads: int, batch: int, provider: str | None) -> Iterator[Entry]:
        """Every artifact in each of the runtimes asked for that run it, or else in its own."""
        for number, source in enumerate(self._sources):
            for runtime in FORMATS[format_or_keras(source)].runs_in(self.runtimes):
                yield Entry(
                    source,
                    threads,
                    batch,
                    self.scenario,
                    provider,
                    self.allow_fallback,
                    self.seed,
                    runtime.name,
                    self.tf32,
                    self.cuda_graph,
                    is_baseline=source == self.baseline_artifact and number == 0,
                )
