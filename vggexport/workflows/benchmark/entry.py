"""What is measured, and what its process says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vggexport.artifact import Artifact
from vggexport.formats.registry import FORMATS, format_or_keras
from vggexport.metrics.placement import CPU_PROVIDER
from vggexport.metrics.timing import Scenario

Model = tuple[str, str | None]
"""A source, and what runs it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be measured, how.

    Attributes:
        source: A model file or directory, or a source of weights for the Keras network.
        threads: Of its runtime.
        batch: Images a run.
        scenario: What is timed.
        provider: ONNX Runtime's execution provider; None for the runtime's own.
        allow_fallback: Measure on the CPU what the provider does not run.
        seed: Of the images.
        runtime: What runs it; None for the first of its format.
        tf32: Let CUDA compute float32 in TF32.
        cuda_graph: Have CUDA record a run once and repeat it.
        is_baseline: What the others are held to.
    """

    source: str
    threads: int
    batch: int
    scenario: Scenario = Scenario.SINGLE_STREAM
    provider: str | None = None
    allow_fallback: bool = False
    seed: int = 0
    runtime: str | None = None
    tf32: bool = True
    cuda_graph: bool = False
    is_baseline: bool = False

    @property
    def format(self) -> str:
        """Of the file, or "keras".

        Raises:
            ArtifactError: There is no such file.
        """
        return format_or_keras(self.source)

    @property
    def model(self) -> Model:
        """What is the same whatever it is measured with."""
        return self.source, self.runtime

    @property
    def device_provider(self) -> str | None:
        """An execution provider other than the CPU's, where the runtime has some."""
        return self.provider if FORMATS[self.format].runtime(self.runtime).has_providers else None

    @property
    def provider_requested(self) -> str:
        """What was asked for, by ONNX Runtime's names."""
        return self.provider or CPU_PROVIDER


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network that is ready to run.

    Attributes:
        artifact: What it is; its path and size are those of what was measured.
        runtime: What computes, and its version.
        provider: What it computes on.
        load_ms: From the file to a network that can run; not the import of its runtime.
        provider_options: As the runtime reports them.
        fallback: Why it is not on the provider that was asked for; empty if it is.
        begun_ns: When its class began to be made, by the clock.
        imports_ms: The import of its runtime.
        base_rss_bytes: Largest resident memory of its process before the load.
        cached_share: Of the file's pages those that were in memory before the load, 0 to 1; None
            where nobody asked, or the system does not tell.
    """

    artifact: Artifact
    runtime: str
    provider: str
    load_ms: float
    provider_options: Mapping[str, str]
    fallback: str = ""
    begun_ns: int = 0
    imports_ms: float = 0.0
    base_rss_bytes: int = 0
    cached_share: float | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network took beside time.

    Attributes:
        peak_rss_bytes: Of its process, from the start to the last run.
        gpu_memory_bytes: How much more of the GPU's memory was taken after the last run than before
            the load: ONNX Runtime keeps what it took, so that is the peak. None without one.
        transfer_ms: Copying a batch to the device and its result back, the median of some; None
            where nothing is copied.
    """

    peak_rss_bytes: int
    gpu_memory_bytes: int | None
    transfer_ms: float | None
