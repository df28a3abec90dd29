"""One network under measurement, in a process of its own (``vggexport.system.child_process``)."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import calibration
from vggexport.artifact import Artifact, files_of
from vggexport.errors import Advice, InputError, Unavailable
from vggexport.formats.registry import FORMATS, format_or_keras, load_runner
from vggexport.formats.runner import Images, Prepared
from vggexport.metrics.placement import CPU_PROVIDER, Placement, place
from vggexport.metrics.timing import NANOSECONDS, Clock, Scenario, Share, Turn, take_turn
from vggexport.opening.models import OpenedModel, RunOptions, open_model
from vggexport.system import lazy_imports
from vggexport.system.gpu import gpu_memory_used_bytes
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps

PLACE = f"{__name__}:MeasuredModel"
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"

TRANSFERS = 10
_PER_MS = 10**6
_FLOAT32_BYTES = 4


def environment_variables() -> dict[str, str]:
    """Of a model's process: TensorFlow as its users have it.

    Elsewhere in this package memory comes before speed.
    """
    is_ours = ONEDNN not in os.environ or ONEDNN in lazy_imports.set_here()
    return {ONEDNN: "1"} if is_ours else {}


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
    """

    artifact: Artifact
    runtime: str
    provider: str
    load_ms: float
    provider_options: Mapping[str, str]
    fallback: str = ""


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


class MeasuredModel:
    """Imports the runtime when it is made, so that the load is the load alone.

    Args:
        entry: What is measured.
        clock: Of nanoseconds.
    """

    def __init__(self, entry: Entry, clock: Clock = time.perf_counter_ns) -> None:
        self._entry = entry
        self._clock = clock
        load_runner(entry.format, entry.runtime)
        self._entered = ExitStack()
        self._model: OpenedModel
        self._artifact: Artifact
        self._images: Images
        self._prepared: Prepared
        self._gpu_before: int | None = None

    def load(self, known: Artifact | None = None) -> Loaded:
        """Opens the network and prepares its runs.

        Args:
            known: Of weights: which network they are of, where another model tells.

        Raises:
            ArtifactError: It cannot be read, or does not run on such a batch.
            Unavailable: The provider is not to be had, and no fallback is allowed.
        """
        self._gpu_before = gpu_memory_used_bytes() if self._entry.device_provider else None
        asked_elsewhere = self._entry.provider and not self._entry.device_provider
        fallback = f"{self._entry.format} runs on the CPU here" if asked_elsewhere else ""
        start = self._clock()
        try:
            self._open(known, self._entry.device_provider)
        except Unavailable as error:
            if not (self._entry.allow_fallback and self._entry.device_provider):
                raise
            fallback = str(error)
            start = self._clock()
            self._open(known, None)
        opened = self._clock()
        self._images = _images(self._artifact, self._entry)
        prepare = self._clock()
        self._prepared = self._model.runner.prepare(self._images)
        taken = (opened - start) + (self._clock() - prepare)
        gc.collect()
        gc.disable()  # a collection in a run would be counted as the network's
        return Loaded(
            self._artifact,
            self._model.runner.runtime,
            self._model.runner.provider,
            taken / _PER_MS,
            self._model.runner.provider_options(),
            fallback,
        )

    def run_once(self) -> float:
        """Milliseconds of one run: the first is that of a cold network."""
        start = self._clock()
        self._prepared.run()
        return (self._clock() - start) / _PER_MS

    def warm_up(self, runs: int, seconds: float = 0.0) -> None:
        """Runs that are not counted, until there are so many and it took so long."""
        begin, done = self._clock(), 0
        while done < runs or self._clock() - begin < seconds * NANOSECONDS:
            self._prepared.run()
            done += 1

    def take_turn(self, share: Share) -> Turn:
        """A share of the measurement."""
        return take_turn(self._prepared.run, share, self._entry.scenario, self._clock)

    def cost(self) -> Cost:
        """What it took so far; the copies to a device are timed now."""
        peak = peak_rss_bytes()
        gpu, before = (
            (gpu_memory_used_bytes() if self._entry.device_provider else None),
            self._gpu_before,
        )
        taken = None if gpu is None or before is None else max(0, gpu - before)
        return Cost(peak, taken, self._transfer_ms())

    def placement(self) -> Placement | None:
        """Where the nodes ran, from a profiled run; None where there is one place only."""
        one = self._images[: self._artifact.batch or 1]  # or as many as a file takes, no fewer
        nodes = self._model.runner.placed_nodes(one)
        provider = self._model.runner.provider
        return None if nodes is None else place(nodes, self._artifact.spec, provider)

    def _open(self, known: Artifact | None, provider: str | None) -> None:
        source = self._entry.source
        entry = self._entry
        run = RunOptions(
            entry.threads, provider, entry.runtime, tf32=entry.tf32, cuda_graph=entry.cuda_graph
        )
        self._model = open_model(self._entered, source, known, run, Steps(Progress()))
        artifact, path = self._model.artifact, Path(source)
        size = (
            sum(part.stat().st_size for part in files_of(path))
            if path.exists()
            else artifact.spec.parameters * _FLOAT32_BYTES
        )
        self._artifact = replace(artifact, path=source, size_bytes=size)

    def _transfer_ms(self) -> float | None:
        if self._prepared.transfer is None:
            return None
        samples = []
        for _ in range(TRANSFERS):
            start = self._clock()
            self._prepared.transfer()
            samples.append((self._clock() - start) / _PER_MS)
        return float(np.median(samples))


def check_batch(artifact: Artifact, batch: int) -> None:
    """Refuses a number of images that an artifact does not take.

    Raises:
        InputError: It takes another number of them.
    """
    if artifact.batch not in (None, batch):
        raise InputError(
            f"{artifact.path} takes {artifact.batch} images at a time and not {batch}",
            Advice(f"measure it with {{}} {artifact.batch}", "batch"),
            "export it with another",
        )


def _images(artifact: Artifact, entry: Entry) -> Images:
    """Synthetic images with the statistics of photographs.

    Raises:
        InputError: The artifact takes another number of them.
    """
    check_batch(artifact, entry.batch)
    size = artifact.spec.input_size
    return np.stack([calibration.synthetic_image(entry.seed, i, size) for i in range(entry.batch)])
