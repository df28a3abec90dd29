"""Training by the paper's recipe, epoch by epoch, each kept before the next begins."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from vggexport.errors import Advice, OutputError, one_line
from vggexport.formats.keras.model import start_tensorflow
from vggexport.results.train import Beginning, Epoch
from vggexport.training.checkpoint import Checkpoint, Course, Tensors
from vggexport.training.divergence import DIVERGED, DivergedError, check_loss
from vggexport.training.job import TrainingJob
from vggexport.training.trained_layers import TrainedLayers


def train(
    job: TrainingJob,
    course: Course,
    checkpoint: Checkpoint,
    *,
    restored: Tensors | None = None,
    log_dir: Path | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Course]:
    """Trains epoch by epoch.

    Yields:
        The course after each epoch, which the checkpoint has by then; or without an epoch, where
        training diverged and begins anew.

    Raises:
        Unfinished: It diverged as often as the recipe allows, or features are gone.
        UnreadableImageError: An image cannot be read.
        OutputError: Logs cannot be written.
    """
    start_tensorflow()
    layers = TrainedLayers(job, course.recipe, equal_batches=course.equal_batches)
    highest = layers.starting_loss() + DIVERGED * math.log(job.spec.label_count)
    if restored is not None:
        layers.restore(restored)
    elif job.teacher:
        course = replace(course, before=Beginning(*_judged(layers, job)))
    with ExitStack() as entered:
        log = _logger(log_dir, entered)
        while not course.is_over:
            is_last = course.restarts >= course.recipe.restarts
            try:
                epoch = _epoch(layers, job, course, math.inf if is_last else highest, clock)
            except DivergedError:
                if is_last:
                    raise
                layers.begin_anew()
                course = course.begun_anew()
                yield course
                continue
            course = course.after(epoch)
            checkpoint.save(course, layers.weights, layers.velocities)
            log(epoch)
            yield course


def _epoch(
    layers: TrainedLayers,
    job: TrainingJob,
    course: Course,
    highest: float,
    clock: Callable[[], float],
) -> Epoch:
    """Trains one epoch."""
    begin, rate = clock(), course.learning_rate
    number = len(course.history) + 1
    if course.history:
        layers.rescale(rate / course.history[-1].learning_rate)
    loss = layers.learn(number, rate)
    check_loss(loss, "loss", number, rate, highest)
    validation_loss, accuracy, agreement = _judged(layers, job)
    # What the last step of an epoch blew up has given no loss yet.
    check_loss(validation_loss, "validation loss", number, rate)
    return Epoch(number, rate, loss, validation_loss, accuracy, clock() - begin, agreement)


def _judged(layers: TrainedLayers, job: TrainingJob) -> tuple[float, float | None, float | None]:
    """Loss, accuracy and agreement on the validation images; one of the latter is None."""
    loss, right = layers.validate()
    return (loss, None, right) if job.unlabelled else (loss, right, None)


def _logger(log_dir: Path | None, entered: ExitStack) -> Callable[[Epoch], None]:
    """Writes each epoch for TensorBoard, where that is asked for."""
    if log_dir is None:
        return lambda _epoch: None
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        place = log_dir / f"events.out.tfevents.{time.time():.0f}.vggexport"
        writer = entered.enter_context(tf.io.TFRecordWriter(str(place)))
        writer.write(_event(file_version="brain.Event:2"))
        writer.flush()
    except (OSError, tf.errors.OpError) as error:
        raise OutputError(
            f"logs cannot be written to {log_dir}: {one_line(error)}",
            Advice("name another {}", "log_dir"),
        ) from error

    def log(epoch: Epoch) -> None:
        values = [
            tf.compat.v1.Summary.Value(tag=name, simple_value=value)
            for name, value in epoch.to_json().items()
            if value is not None
        ]
        summary = tf.compat.v1.Summary(value=values)
        writer.write(_event(step=epoch.number, summary=summary))
        writer.flush()

    return log


def _event(**content: Any) -> bytes:
    """One record of a log: ``tf.summary`` writes the same, and needs TensorBoard installed."""
    event: bytes = tf.compat.v1.Event(wall_time=time.time(), **content).SerializeToString()
    return event
