"""What ``vggexport benchmark`` found out, as frozen values. Verdicts are derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.metrics.latency import Latency, Measurement
from vggexport.metrics.latency_ratio import Ratio, judge
from vggexport.metrics.layer_times import LayerTime
from vggexport.metrics.placement import Placement
from vggexport.metrics.verdict import Verdict, refused, worst
from vggexport.results.benchmark_figures import (
    Ceiling,
    CheckedAnswers,
    ColdStart,
    Energy,
    Minute,
    Together,
)
from vggexport.results.document import Document, StepSeconds
from vggexport.system.gpu import Gpu
from vggexport.system.json_values import JsonValue, Note
from vggexport.system.machine import Machine
from vggexport.system.number_text import counted
from vggexport.system.power import PowerSource

_GIGA = 10**9
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class BenchmarkResult(JsonValue):
    """One artifact with one number of threads and one batch.

    Attributes:
        artifact: What was measured.
        runtime: What computed, and its version.
        provider_requested: Execution provider that was asked for.
        provider: The one that computed.
        threads: Of the runtime.
        batch: Images a run.
        measurement: The timings.
        load_ms: From the file to a network that can run, the median of the launches after the
            first, or of the only one.
        first_ms: The first run, likewise.
        peak_rss_bytes: Of the process that did nothing else, the largest.
        gpu_memory_bytes: Largest; None without a GPU.
        transfer_ms: Input to the device and result back; None where nothing is copied.
        placement: Where the nodes ran; None where the runtime has one place only.
        provider_options: As the runtime reports them.
        fallback: Why it is not on the provider that was asked for; empty if it is.
        ceiling: What the machine can do; None if it was not measured.
        minutes: Of a sustained run, in order.
        measured_at: Unix time of the first counted run, in seconds.
        base_rss_bytes: Peak of the same process before the load.
        cold_start: The first launch.
        energy: None where the machine does not tell.
        together: Several of it at once; None where nobody asked.
        layers: What each layer takes; nothing where nobody asked.
        is_baseline: Whether it is what the others are held to.
    """

    json_keys = """
        path=artifact.path sha256?=artifact.sha256 format=artifact.format
        precision=artifact.precision runtime provider_requested provider threads batch
        scenario=measurement.scenario runs=measurement.runs latency_ms=latency
        early_stopping_ms=measurement.early_stopping_ms unsupported=measurement.unsupported
        throughput_per_s load_ms first_ms peak_rss_bytes base_rss_bytes? model_rss_bytes?
        gpu_memory_bytes transfer_ms cold_start? energy together? layers? is_baseline
        size_bytes=artifact.size_bytes foreign macs=artifact.macs gflop_per_s ceiling_gflop_per_s
        ceiling_share placement provider_options fallback
        sustained{minutes ratio_last_first=last_to_first_minute} measured_at
        rounds=measurement.rounds samples_ms=measurement.samples_ms
    """

    artifact: Artifact
    runtime: str
    provider_requested: str
    provider: str
    threads: int
    batch: int
    measurement: Measurement
    load_ms: float
    first_ms: float
    peak_rss_bytes: int
    gpu_memory_bytes: int | None = None
    transfer_ms: float | None = None
    placement: Placement | None = None
    provider_options: Mapping[str, str] = field(default_factory=dict)
    fallback: Note = ""
    ceiling: Ceiling | None = None
    minutes: tuple[Minute, ...] = ()
    measured_at: float = 0.0
    base_rss_bytes: int | None = None
    cold_start: ColdStart | None = None
    energy: Energy | None = None
    together: Together | None = None
    layers: tuple[LayerTime, ...] | None = None
    is_baseline: bool = False

    @property
    def model_rss_bytes(self) -> int | None:
        """What the network added to its process."""
        base = self.base_rss_bytes
        return None if base is None else self.peak_rss_bytes - base

    @property
    def path(self) -> str:
        """The artifact's."""
        return self.artifact.path

    @property
    def name(self) -> str:
        """The same without its folder."""
        return Path(self.path).name

    @property
    def model(self) -> tuple[str, str]:
        """What was measured, whatever with: its path, and what ran it."""
        return self.artifact.path, self.runtime

    @property
    def latency(self) -> Latency:
        """Milliseconds a run."""
        return self.measurement.latency()

    @property
    def typical_ms(self) -> float:
        """The median of a run; of whole turns the mean."""
        latency = self.latency
        return latency.mean if latency.p50 is None else latency.p50

    @property
    def throughput_per_s(self) -> float:
        """Images a second."""
        return self.batch / self.measurement.mean_ms * _MS_PER_S

    @property
    def foreign(self) -> bool:
        """Whether another converter wrote the file."""
        return bool(self.artifact.foreign)

    @property
    def gflop_per_s(self) -> float | None:
        """By the multiply-accumulates of the network's layers, two operations each.

        None where the graph is no VGG.
        """
        macs = self.artifact.macs
        if macs is None:
            return None
        return 2 * macs * self.batch / (self.typical_ms / _MS_PER_S) / _GIGA

    @property
    def ceiling_gflop_per_s(self) -> float | None:
        """What a matrix product in its precision reached."""
        return self.ceiling.of(self.artifact.precision) if self.ceiling else None

    @property
    def ceiling_share(self) -> float | None:
        """Fraction of that; above 1 where convolutions multiply less than their definition says."""
        ceiling, reached = self.ceiling_gflop_per_s, self.gflop_per_s
        return None if ceiling is None or reached is None else reached / ceiling

    @property
    def sustained(self) -> BenchmarkResult | None:
        """Itself where it ran for minutes."""
        return self if self.minutes else None

    @property
    def last_to_first_minute(self) -> float | None:
        """Median of the last minute over that of the first; None for less than two."""
        if len(self.minutes) < len(("first", "last")):
            return None
        return self.minutes[-1].p50_ms / self.minutes[0].p50_ms


@dataclass(frozen=True, slots=True)
class BenchmarkComparison(JsonValue):
    """Two artifacts that took turns: how the median of ``b`` compares with that of ``a``."""

    json_keys = "a=a.artifact.path b=b.artifact.path threads=b.threads batch=b.batch ...ratio"

    a: BenchmarkResult
    b: BenchmarkResult
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class GatedResult(JsonValue):
    """One result held to its baseline.

    Attributes:
        result: What was measured now.
        ratio: Of its median to the baseline's.
        verdict: Of the ratio.
        paired: Whether the baseline took turns with it, or ran at another time.
    """

    json_keys = """
        path=result.artifact.path threads=result.threads batch=result.batch ...ratio paired verdict
    """

    result: BenchmarkResult
    ratio: Ratio
    verdict: Verdict
    paired: bool

    @classmethod
    def judged(
        cls, result: BenchmarkResult, ratio: Ratio, max_regression: float, *, paired: bool
    ) -> GatedResult:
        """With the verdict that the ratio gives."""
        return cls(result, ratio, judge(ratio, max_regression), paired)

    def __str__(self) -> str:
        low, high = self.ratio.low, self.ratio.high
        interval = "too few runs for an interval" if low is None else f"{low:.3f} to {high:.3f}"
        return (
            f"{self.result.path}, batch {self.result.batch}, "
            f"{counted(self.result.threads, 'thread')}: "
            f"{self.ratio.value:.3f} times the baseline ({interval})"
        )


@dataclass(frozen=True, slots=True)
class Gate(JsonValue):
    """Whether anything became slower than allowed.

    Attributes:
        baseline: What it was held to.
        max_regression: 0.05 allows 5 % more time.
        strict: Whether an inconclusive gate is a failure.
        results: What was held to it; at least one.
    """

    json_keys = "verdict baseline max_regression strict results"

    baseline: str
    max_regression: float
    strict: bool
    results: tuple[GatedResult, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the results'."""
        return worst(gated.verdict for gated in self.results)

    @property
    def refused(self) -> tuple[GatedResult, ...]:
        """What is too slow; with ``strict`` what may be, too."""
        bad = refused(strict=self.strict)
        return tuple(gated for gated in self.results if gated.verdict in bad)

    @property
    def failures(self) -> tuple[str, ...]:
        """The same, a clause each."""
        return tuple(f"{gated} ({gated.verdict})" for gated in self.refused)


@dataclass(frozen=True, slots=True)
class BenchmarkReport(Document):
    """Everything that one run of ``vggexport benchmark`` found out.

    Attributes:
        machine: What it ran on.
        gpu: The same, of a run on a GPU.
        results: In the order of artifacts, within threads and batches.
        comparisons: Of every further artifact with the first.
        ceilings: What the machine can do.
        gate: None without a baseline.
        notes: What a reader must know, a sentence each.
        seconds: Wall-clock seconds by step.
        power: What tells the energy.
        golden: The file of recorded answers; None where nobody asked.
        answers: Of every model, where there is one; those that are wrong have no result.
    """

    json_keys = """
        schema environment={...machine gpu power} results comparisons ceilings gate golden answers
        notes seconds passed
    """

    machine: Machine
    gpu: Gpu | None
    results: tuple[BenchmarkResult, ...]
    comparisons: tuple[BenchmarkComparison, ...]
    ceilings: tuple[Ceiling, ...]
    gate: Gate | None
    notes: tuple[str, ...]
    seconds: StepSeconds
    power: PowerSource
    golden: str | None = None
    answers: tuple[CheckedAnswers, ...] = ()

    @property
    def wrong(self) -> tuple[str, ...]:
        """What answers wrongly, a clause each."""
        return tuple(str(answers) for answers in self.answers if not answers.passed)

    @property
    def failures(self) -> tuple[str, ...]:
        """What answers wrongly, and what the gate does not let pass, a clause each."""
        return (*self.wrong, *(self.gate.failures if self.gate else ()))
