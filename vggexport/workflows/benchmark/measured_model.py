"""One network under measurement, in a process of its own (``vggexport.system.child_process``)."""

from __future__ import annotations

import gc
import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

import calibration
from vggexport.artifact import Artifact
from vggexport.errors import Advice, InputError, Unavailable
from vggexport.formats.golden.golden_file import GoldenFile
from vggexport.formats.registry import load_runner
from vggexport.formats.runner import Images, Prepared
from vggexport.metrics.layer_times import LayerTime, by_layer
from vggexport.metrics.parity import compare
from vggexport.metrics.placement import CUDA_PROVIDER, Placement, place
from vggexport.metrics.timing import NANOSECONDS, Clock, Share, Turn, take_turn
from vggexport.network.layers import OUTPUT_NAME
from vggexport.opening.file_check import read, tolerance_between
from vggexport.opening.foreign import TRIED_IMAGES, find_preprocessing
from vggexport.opening.models import OpenedModel, open_golden, open_model
from vggexport.opening.run_options import RunOptions
from vggexport.opening.same_network import check_same
from vggexport.system import lazy_imports
from vggexport.system.digests import files_of
from vggexport.system.gpu import gpu_memory_used_bytes
from vggexport.system.page_cache import drop_cached
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.benchmark.entry import Cost, Entry, Loaded

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


class MeasuredModel:
    """Imports the runtime when it is made, so that the load is the load alone."""

    def __init__(self, entry: Entry, clock: Clock = time.perf_counter_ns) -> None:
        self._entry = entry
        self._clock = clock
        self._begun_ns = clock()
        load_runner(entry.format, entry.runtime)
        self._imports_ms = (clock() - self._begun_ns) / _PER_MS
        self._base_rss_bytes = peak_rss_bytes()
        self._entered = ExitStack()
        self._model: OpenedModel
        self._artifact: Artifact
        self._images: Images
        self._prepared: Prepared
        self._gpu_before: int | None = None

    def load(self, known: Artifact | None = None, cold: bool = False) -> Loaded:  # noqa: FBT001, FBT002  a pipe
        """Opens the network and prepares its runs.

        ``known``, another model's artifact, tells which network weights are of; before a ``cold``
        load the system forgets the file.

        Raises:
            ArtifactError: It cannot be read, or does not run on such a batch.
            Unavailable: The provider is not to be had, and no fallback is allowed.
        """
        self._gpu_before = gpu_memory_used_bytes() if self._entry.device_provider else None
        asked_elsewhere = self._entry.provider and not self._entry.device_provider
        fallback = f"{self._entry.format} runs on the CPU here" if asked_elsewhere else ""
        cached = self._forget() if cold else None
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
            self._begun_ns,
            self._imports_ms,
            self._base_rss_bytes,
            cached,
        )

    def _forget(self) -> float | None:
        path = Path(self._entry.source)
        return drop_cached(files_of(path)) if path.exists() else None

    def wrong_answers(self, golden: Path) -> tuple[str, ...]:
        """What is wrong with its answers to the images of a golden file; nothing where all agree.

        Raises:
            ArtifactError: That is no golden file, or it is of another network.
        """
        file, batch = GoldenFile.read(golden), self._artifact.batch or 1
        recorded = open_golden(self._entered, file)
        check_same(recorded.artifact, self._artifact, ignoring=("weights",))
        first, steps = np.array(file.images[:TRIED_IMAGES]), Steps(Progress())
        _, model = find_preprocessing([recorded, self._model], lambda: first, steps)
        answers = read(model.runner, file.images, [OUTPUT_NAME], batch)[OUTPUT_NAME]
        activation = self._artifact.spec.head_activation
        metrics = compare(file.probabilities, answers, activation)
        on_cpu = model.runner.provider != CUDA_PROVIDER
        tolerance = tolerance_between(recorded.artifact, self._artifact, on_cpu=on_cpu)
        return tolerance.violations(metrics)

    def layers(self, runs: int) -> tuple[LayerTime, ...]:
        """What each layer takes, as the runtime tells; it is not for runs after this."""
        times = self._model.runner.node_times(self._images, runs)
        return by_layer(times, self._artifact.spec)

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
    """Synthetic images with the statistics of photographs."""
    check_batch(artifact, entry.batch)
    size = artifact.spec.input_size
    return np.stack([calibration.synthetic_image(entry.seed, i, size) for i in range(entry.batch)])
