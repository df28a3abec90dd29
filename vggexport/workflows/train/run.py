"""Training: labelled images, weights to begin with and a recipe give weights for any command."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.errors import Advice, InputError, OutputError
from vggexport.opening.calibration_images import translated
from vggexport.opening.labelled_images import note_contents, wrapped_advice
from vggexport.results.train import TrainingReport, training_failures
from vggexport.system import lazy_imports
from vggexport.system.digests import file_sha256
from vggexport.system.options import takes
from vggexport.system.output_files import output_folder, publish
from vggexport.system.process import package_versions, peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.training import TRAINERS
from vggexport.training.checkpoint import BEGIN_ANEW, Checkpoint, Course
from vggexport.training.head_rate import head_rate
from vggexport.training.initial_weights import open_initial_weights
from vggexport.training.job import TrainingJob
from vggexport.training.patience import patience
from vggexport.training.teacher import check_teaches, open_teacher
from vggexport.training.training_data import (
    Choice,
    TrainingData,
    last_frozen,
    open_images,
    open_training_data,
    training_job,
)
from vggexport.training.unlabelled import open_unlabelled, open_unlabelled_data
from vggexport.weights.description import Description
from vggexport.weights.safetensors_file import write_safetensors
from vggexport.workflows.train.notes import note_epoch, note_gain, note_plateau
from vggexport.workflows.train.options import TrainOptions

GO_ON = Advice("go on with {}", "resume")
UNLABELLED = Advice("say {} if images have no classes", "unlabelled")


@takes(TrainOptions)
def train(
    options: TrainOptions,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> TrainingReport:
    """Trains, and writes the weights of the best epoch.

    Args:
        options: What is trained.
        progress: Who shows how far it is.
        clock: Gives seconds; injected by tests.

    Raises:
        InputError: The options, images, weights or checkpoint cannot be used together.
        Unavailable: A package is not installed.
        Unfinished: The training diverged.
    """
    steps = Steps(progress or Progress(), clock=clock)
    options = replace(options, output=options.place)
    places = [options.place, *([options.table] if options.table else [])]
    with output_folder(*places, force=options.force) as folder, _told_of_checkpoint(options, steps):
        _check_checkpoint(options)
        with steps.step("images"), translated(*([UNLABELLED] if options.teacher else [])):
            data = _open_data(options, steps)
        checkpoint = Checkpoint(_checkpoint_folder(options.place), data.identity)
        course, restored = _begin(options, checkpoint)
        with translated():
            job = training_job(data, options.recipe, options.cache_dir, steps)
            course = _suited(course, job, options, steps)
        run = lazy_imports.load(TRAINERS, "keras")
        with steps.step("train"), translated():
            epochs = run(
                job, course, checkpoint, restored=restored, log_dir=options.log_dir, clock=clock
            )
            for course in epochs:
                note_epoch(course, steps)
            note_plateau(course, data, steps)
            note_gain(course, steps)
        with steps.step("write"):
            _write(folder / options.place.name, data, course, checkpoint)
            if options.table:
                calibration.write_table(folder / options.table.name, data.validation.images)
            sha256 = file_sha256(folder / options.place.name)
            publish(folder, *places)
            checkpoint.remove()
    return _report(options, data, course, sha256, steps)


def _open_data(options: TrainOptions, steps: Steps) -> TrainingData:
    teacher = open_teacher(options.teacher).in_memory() if options.teacher else None
    unlabelled = teacher if options.unlabelled else None
    opened = partial(open_unlabelled, teacher=unlabelled) if unlabelled else open_images
    images = opened(options.data)
    others = opened(options.validation_data) if options.validation_data else None
    for found in filter(None, (images, others)):
        note_contents(found.source, steps)
    if advice := wrapped_advice(images):
        raise InputError(f"{images.source.name!r} has one class, and folders in it", *advice)
    recipe = options.recipe
    start, labels = open_initial_weights(
        options.network, images, steps, reinit=options.reinit, initializer=recipe.initializer
    )
    choice = Choice(options.split, recipe.seed, options.max_unreadable)
    if teacher:
        check_teaches(teacher, start, labels)
    if unlabelled:
        named = labels if unlabelled.labels or labels != images.classes else ()
        return open_unlabelled_data(start, named, images, others, unlabelled, steps, choice=choice)
    after = last_frozen(options.freeze, start.spec)
    data = open_training_data(start, labels, images, others, steps, after=after, choice=choice)
    return replace(data, teacher=teacher)


def _checkpoint_folder(place: Path) -> Path:
    return place.with_name(f"{place.name}.checkpoint")


def _check_checkpoint(options: TrainOptions) -> None:
    """Refuses, before images are read, what the options and the folder do not agree on."""
    checkpoint = Checkpoint(_checkpoint_folder(options.place))
    if checkpoint.folder.exists() and not checkpoint.folder.is_dir():
        raise OutputError(
            f"{checkpoint.folder} is where checkpoints go, and is not a folder: remove it, or name "
            "another output"
        )
    if options.resume:
        checkpoint.check_exists()
    elif checkpoint.exists and not options.force:
        raise OutputError(
            f"{checkpoint.folder} holds the checkpoint of a training that was not finished",
            GO_ON,
            BEGIN_ANEW,
        )


@contextmanager
def _told_of_checkpoint(options: TrainOptions, steps: Steps) -> Iterator[None]:
    """Says what is left of a training that was broken off."""
    try:
        yield
    except (KeyboardInterrupt, OSError):
        checkpoint = Checkpoint(_checkpoint_folder(options.place))
        if checkpoint.exists:
            steps.progress.note(f"{checkpoint.folder} has the last epoch", GO_ON)
        raise


def _begin(
    options: TrainOptions, checkpoint: Checkpoint
) -> tuple[Course, Mapping[str, NDArray[np.float32]] | None]:
    """The course so far, and the tensors of its last epoch."""
    if options.resume:
        return checkpoint.load(options.recipe)
    if checkpoint.exists:
        checkpoint.remove()
    return Course.begin(options.recipe), None


def _suited(course: Course, job: TrainingJob, options: TrainOptions, steps: Steps) -> Course:
    """A course that has not begun, with what suits the head's inputs and the number of images."""
    if course.history:
        return course
    if "patience" not in options.stated:
        course = replace(course, patience=patience(job, options.recipe))
    rate = head_rate(job, course.learning_rate)
    if "learning_rate" in options.stated or rate == course.learning_rate:
        return course
    steps.progress.note(
        f"learning rate {rate:.2g} instead of {course.learning_rate:g}: the inputs of the head are "
        "large",
        Advice("state another with {}", "learning_rate"),
    )
    return replace(course, learning_rate=rate)


def _write(path: Path, data: TrainingData, course: Course, checkpoint: Checkpoint) -> None:
    """Writes the best weights, frozen ones included."""
    spec, best = data.start.spec, checkpoint.best(course)

    def tensors() -> Iterator[NDArray[np.float32]]:
        for name in spec.tensors:
            yield best.pop(name) if name in best else data.start[name]

    training = {
        **course.to_json(),
        "failures": list(_failures(data, course)),
        "began_with": data.start.source,
        **({"teacher": data.teacher.source} if data.teacher else {}),
        "identity": data.identity,
        "versions": package_versions(),
    }
    start = data.start
    described = Description(spec, data.labels, training, start.pruning, pictures=start.pictures)
    metadata = described.embedded()
    shapes = {name: tensor.shape for name, tensor in spec.tensors.items()}
    write_safetensors(path, shapes, tensors(), metadata)


def _report(
    options: TrainOptions, data: TrainingData, course: Course, sha256: str, steps: Steps
) -> TrainingReport:
    assert course.best is not None  # noqa: S101  there is one after every epoch
    return TrainingReport(
        str(options.place),
        sha256,
        data.start.spec,
        course.recipe,
        data.labels,
        data.after,
        len(data.training.images),
        len(data.validation.images),
        str(options.table) if options.table else None,
        course.history,
        course.best.number,
        steps.seconds,
        peak_rss_bytes(),
        data.training.images.source.contents,
        data.validation.images.source.contents if options.validation_data else None,
        _guessed(data),
        data.teacher.source if data.teacher else None,
        course.before,
    )


def _guessed(data: TrainingData) -> float:
    """Share of the validation images that are of their most frequent class."""
    counts = data.validation.images.counts
    return float(counts.max() / counts.sum())


def _failures(data: TrainingData, course: Course) -> tuple[str, ...]:
    assert course.best is not None  # noqa: S101  there is one after every epoch
    return training_failures(course.history, course.best, _guessed(data))
