"""The same evaluation over a cluster: Ray Data hands images to actors that hold one runner each.

An actor reads its images itself, so that only indices and answers travel. Answers are put together
by the image's index, and one that came twice or not at all is an error, not a figure: Ray repeats
the work of an actor that died.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.data
from numpy.typing import NDArray

import calibration
from vggexport.artifact import Artifact
from vggexport.errors import Advice, Unavailable, Unfinished, one_line
from vggexport.metrics.accuracy import TOP_K
from vggexport.opening.models import OpenedModel, open_model
from vggexport.opening.run_options import RunOptions
from vggexport.opening.seen_images import count_seen, seen_error
from vggexport.system.progress import Progress, Steps
from vggexport.system.stderr_capture import silenced_stderr
from vggexport.workflows.evaluate.predictions import CHUNK, Answered, Answers, EngineOptions, ask

Batch = Mapping[str, NDArray[Any]]
"""Columns by name, as Ray Data has them."""

INDEX = "index"
"""Column of answers: the image."""

START, END = "start", "end"
"""Columns of work: a run of images."""

CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Task:
    """What an actor is told, once.

    Attributes:
        source: The network: a path that every worker has, or a source of weights.
        known: What the network is.
        run: How it runs.
        images: The images: a folder that every worker has.
    """

    source: str
    known: Artifact
    run: RunOptions
    images: calibration.LabelledImages


class Worker:
    """One runner in a process of its own, for as long as there are images."""

    def __init__(self, task: Task) -> None:
        self._images = task.images.source
        self._entered = ExitStack()
        steps = Steps(Progress())
        self._model = open_model(self._entered, task.source, task.known, task.run, steps)

    def __call__(self, batch: Batch) -> Batch:
        """Answers for a run of images, by index; those that cannot be read have an error."""
        indices = list(range(int(batch[START][0]), int(batch[END][0])))
        readings = list(calibration.read_ahead(self._images, indices))
        chunk = [(i, image) for i, image in readings if isinstance(image, calibration.SourceImage)]
        classes = self._model.artifact.spec.label_count
        best = np.zeros((len(indices), min(TOP_K, classes)), np.int32)
        confidence, seconds = np.zeros(len(indices), np.float32), 0.0
        rows = [indices.index(index) for index, _ in chunk]
        if chunk:
            begin = time.perf_counter()
            pixels = np.stack([image.pixels for _, image in chunk])
            best[rows], confidence[rows] = ask(self._model, pixels)
            seconds = time.perf_counter() - begin
        seen = [_seen_label(self._model, image) for _, image in readings]
        return {
            INDEX: np.array(indices),
            "best": best,
            "confidence": confidence,
            "digest": np.array([getattr(image, "digest", "") for _, image in readings], object),
            "seen": np.array(seen, dtype=object),
            "error": np.array([_error(image) for _, image in readings], dtype=object),
            "seconds": np.full(len(indices), seconds / len(indices)),
        }


def _seen_label(
    model: OpenedModel, image: calibration.SourceImage | calibration.UnreadableImageError
) -> str:
    """The name of an image that the network was calibrated on, else nothing."""
    if not isinstance(image, calibration.SourceImage):
        return ""
    return image.label if count_seen(model, [image], strict=False) else ""


def _error(image: calibration.SourceImage | calibration.UnreadableImageError) -> str:
    if isinstance(image, calibration.SourceImage):
        return ""
    return f"{image.label}: {image.reason}"


@dataclass(frozen=True, slots=True)
class RayEngine:
    """A Ray cluster, or one that is started here for the time being; tests replace the worker."""

    options: EngineOptions
    worker: type[Worker] = field(default=Worker)

    @property
    def name(self) -> str:
        """What a report calls it."""
        return f"ray {ray.__version__}"

    def answer(
        self, models: Sequence[OpenedModel], images: calibration.LabelledImages, steps: Steps
    ) -> Answered:
        """Asks one network after the other about all images.

        Raises:
            CalibrationError: ``strict`` refuses an image.
            Unavailable: The cluster cannot be reached.
            Unfinished: Answers are missing, or came twice.
        """
        total = len(images)
        answered = Answered(
            [Answers.none(total, c.artifact.spec.label_count) for c in models],
            np.ones(total, np.bool_),
            np.full(total, "", object),
        )
        errors: dict[int, str] = {}
        with _cluster(self.options.address):
            for model, answers in zip(models, answered.answers, strict=True):
                source = _found_anywhere(model.path)
                task = Task(source, model.artifact, self._run(model, source), images)
                times = np.zeros(total, np.int64)
                for batch in self._batches(task, total):
                    _take_in(batch, model, answers, errors, strict=self.options.strict)
                    answered.digests[batch[INDEX]] = batch["digest"]
                    np.add.at(times, batch[INDEX], 1)
                    steps.progress.advance(int(times.sum()), total)
                _check_once(times, images)
        answered.readable[list(errors)] = False
        answered.unreadable.extend(errors[index] for index in sorted(errors))
        return answered

    def _run(self, model: OpenedModel, source: str) -> RunOptions:
        """How a worker runs a network: under the preprocessing that is known here by now."""
        told = model.artifact.foreign or model.network
        known = model.artifact.preprocessing if told else None
        return replace(self.options.run, preprocessing_of={source: known} if known else {})

    def _batches(self, task: Task, total: int) -> Iterator[Batch]:
        workers = self.options.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        # A row is what the local run asks about at a time: in another batch a runtime may round an
        # answer otherwise, and Ray cuts rows of single images as it pleases.
        rows = [{START: at, END: min(at + CHUNK, total)} for at in range(0, total, CHUNK)]
        # Not ray.data.range: its tasks would wait for a processor, and all are the workers'.
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
        answers = dataset.map_batches(
            self.worker,
            fn_constructor_args=(task,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(rows))),
            num_cpus=1,
        )
        try:
            yield from answers.iter_batches(batch_size=None, batch_format="numpy")
        except ray.exceptions.RayError as error:
            raise Unfinished(f"a Ray worker failed on {task.source}: {one_line(error)}") from error


def _found_anywhere(source: str) -> str:
    """A path that does not hang on the working directory: workers of a cluster have another."""
    return str(Path(source).absolute()) if Path(source).exists() else source


def _take_in(
    batch: Batch, model: OpenedModel, answers: Answers, errors: dict[int, str], *, strict: bool
) -> None:
    indices = batch[INDEX]
    answers.best[indices] = np.stack(list(batch["best"]))
    answers.confidence[indices] = batch["confidence"]
    answers.seconds += float(batch["seconds"].sum())
    seen = [label for label in batch["seen"] if label]
    answers.seen += len(seen)
    if seen and strict:
        raise seen_error(seen[0], model.path)
    errors.update((int(i), str(e)) for i, e in zip(indices, batch["error"], strict=True) if e)


def _check_once(times: NDArray[np.int64], images: calibration.LabelledImages) -> None:
    """Holds the number of answers for each image to one."""
    if (wrong := np.flatnonzero(times != 1)).size:
        first = int(wrong[0])
        raise Unfinished(
            f"{wrong.size} images were not answered exactly once, such as "
            f"{images.source.paths[first]} ({times[first]} times): run it again"
        )


def _check_listening(address: str) -> None:
    """Finds out within seconds what ``ray.init`` tries for many minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str | None, error: Exception) -> Unavailable:
    return Unavailable(
        f"no Ray cluster at {address or 'this machine'}: {one_line(error)}",
        "start one",
        Advice("leave out {}", "address"),
    )


def _quieten() -> None:
    """Progress is shown by us, what goes wrong is raised, and nobody is told of the use."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """A connection, left open where there was one before."""
    if ray.is_initialized():
        yield
        return
    _quieten()
    if address and address != "auto":
        _check_listening(address)
    options = {} if address else {"include_dashboard": False}
    try:
        with silenced_stderr():
            ray.init(address or "local", log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(address, error) from error
    try:
        yield
    finally:
        ray.shutdown()
