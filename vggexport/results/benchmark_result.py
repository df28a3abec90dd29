"""What ``vggexport benchmark`` found out of one artifact, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.metrics.latency import Latency, Measurement
from vggexport.metrics.layer_times import LayerTime
from vggexport.metrics.placement import Placement
from vggexport.results.benchmark_figures import Ceiling, ColdStart, Energy, Minute, Together
from vggexport.system.json_values import JsonValue, Note

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
