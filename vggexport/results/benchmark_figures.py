"""Figures of a benchmark beside its latencies, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vggexport.metrics.latency import Latency, Milliseconds
from vggexport.metrics.placement import CPU_PROVIDER
from vggexport.precision import Precision
from vggexport.system.json_values import JsonValue


def multiplied_in(precision: Precision, provider: str) -> str:
    """Data type in which an execution provider multiplies the matrices of a file."""
    profile = precision.profile
    return profile.cpu_dtype if provider == CPU_PROVIDER else profile.cuda_dtype


@dataclass(frozen=True, slots=True)
class Ceiling(JsonValue):
    """The most that this machine did in the same run.

    Attributes:
        provider: What computed: ONNX Runtime's name, "CPUExecutionProvider" for every CPU runtime.
        threads: On so many threads.
        gflop_per_s: Of a matrix product, by the precision that is computed in; for int8 Gop/s.
        gbyte_per_s: Read from memory; None where it could not be measured.
    """

    provider: str
    threads: int
    gflop_per_s: Mapping[str, float]
    gbyte_per_s: float | None

    def raised_to(self, other: Ceiling) -> Ceiling:
        """The same with what another one is above it in."""
        names = {**self.gflop_per_s, **other.gflop_per_s}
        speeds = {n: max(c.gflop_per_s.get(n, 0.0) for c in (self, other)) for n in names}
        read = [c.gbyte_per_s for c in (self, other) if c.gbyte_per_s is not None]
        return replace(self, gflop_per_s=speeds, gbyte_per_s=max(read, default=None))

    def of(self, precision: Precision) -> float | None:
        """GFLOP/s of what files of a precision are computed in."""
        return self.gflop_per_s.get(multiplied_in(precision, self.provider))


@dataclass(frozen=True, slots=True)
class Minute(JsonValue):
    """One minute of a sustained run.

    Attributes:
        p50_ms: Median of its runs.
        frequency_mhz: Mean of the cores' at its end; None where the system does not tell.
        temperature_c: The hottest sensor's at its end, in degrees Celsius; None likewise.
    """

    p50_ms: Milliseconds
    frequency_mhz: float | None
    temperature_c: float | None


@dataclass(frozen=True, slots=True)
class ColdStart(JsonValue):
    """The first launch, from nothing to a network that can run.

    Attributes:
        python_ms: From the start of the process to the import of the runtime.
        imports_ms: That import.
        load_ms: The load of a file that the system was asked to forget.
        cached_share: Of its pages those that were in memory all the same, 0 to 1; None where it is
            no file, or the system does not tell: then nobody knows whether the load was cold.
    """

    python_ms: Milliseconds
    imports_ms: Milliseconds
    load_ms: Milliseconds
    cached_share: float | None

    @property
    def is_cold(self) -> bool:
        """Whether nothing of the file was in memory."""
        return self.cached_share == 0.0


@dataclass(frozen=True, slots=True)
class Energy(JsonValue):
    """What a run takes of the machine's energy, its idle power included.

    Attributes:
        watts: Mean while it ran.
        joules_per_image: At the mean latency.
    """

    watts: float
    joules_per_image: float


@dataclass(frozen=True, slots=True)
class Together(JsonValue):
    """Several processes with the same network at once, and one of them alone in between.

    Attributes:
        processes: How many.
        throughput_per_s: Images a second of all of them.
        latency_ms: Of a run among the others.
        alone_throughput_per_s: Of one that runs alone.
        alone_latency_ms: Of its runs.
    """

    json_keys = """
        processes throughput_per_s latency_ms alone_throughput_per_s alone_latency_ms
        throughput_ratio
    """

    processes: int
    throughput_per_s: float
    latency_ms: Latency
    alone_throughput_per_s: float
    alone_latency_ms: Latency

    @property
    def throughput_ratio(self) -> float:
        """Images a second of all over those of one alone."""
        return self.throughput_per_s / self.alone_throughput_per_s


@dataclass(frozen=True, slots=True)
class CheckedAnswers(JsonValue):
    """What one model answered to the images of a golden file.

    Attributes:
        path: The artifact's.
        runtime: What was to run it.
        violations: What is wrong, a clause each; nothing where all agree.
    """

    json_keys = "path runtime passed violations"

    path: str
    runtime: str
    violations: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it may be measured."""
        return not self.violations

    def __str__(self) -> str:
        return f"{self.path} answers wrongly in {self.runtime} ({'; '.join(self.violations)})"
