"""Images without classes, for a network that learns a teacher's answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from calibration.splitting import stratified_split
from vggexport.errors import CalibrationError
from vggexport.formats.registry import KERAS, load_runner
from vggexport.network.training_recipe import PAPER, REFERENCE_SIZE
from vggexport.system.progress import Steps
from vggexport.training.image_views import CENTRE, Views
from vggexport.training.initial_weights import InitialWeights
from vggexport.training.training_data import Choice, ImageSet, TrainingData, note_shared, read_set
from vggexport.weights import Weights

BATCH = 8
"""Images at a time."""
FEWEST = 2
"""Images that can be parted."""


def open_unlabelled(folder: Path, teacher: Weights) -> calibration.LabelledImages:
    """The images below a folder, at any depth, their classes still to be told by the teacher.

    Raises:
        CalibrationDataError: The folder cannot be used, or there is none.
    """
    source = calibration.open_unlabelled(folder, size=REFERENCE_SIZE)
    classes = teacher.labels or tuple(map(str, range(teacher.spec.label_count)))
    return calibration.LabelledImages(source, classes, np.zeros(len(source), np.int32))


def open_unlabelled_data(
    start: InitialWeights,
    labels: Sequence[str],
    images: calibration.LabelledImages,
    others: calibration.LabelledImages | None,
    teacher: Weights,
    steps: Steps,
    *,
    choice: Choice,
) -> TrainingData:
    """Reads all images once, parts them, and has the teacher say of which class each is.

    Without others to judge by, some of the images are split off.

    Raises:
        CalibrationError: Images cannot be used.
    """
    learn = read_set(images, start, steps, choice.max_unreadable)
    if others is None:
        learn, judge = _parted(learn, choice)
    else:
        judge = read_set(others, start, steps, choice.max_unreadable)
    note_shared(learn, judge, steps)
    learn, judge = (_told(part, teacher, steps) for part in (learn, judge))
    return TrainingData(start, tuple(labels), None, learn, judge, teacher, unlabelled=True)


def _parted(images: ImageSet, choice: Choice) -> tuple[ImageSet, ImageSet]:
    """Those to learn from, and those to judge by."""
    count = len(images.images)
    if count < FEWEST:
        raise CalibrationError(
            f"{images.images.source.name!r} has {count} image, and a split needs {FEWEST}",
            "add images",
        )
    alike = replace(images.images, classes=("",))  # as they are until the teacher says
    learn, judge = stratified_split(alike, choice.split, seed=choice.seed)
    return images.some(learn), images.some(judge)


def _told(part: ImageSet, teacher: Weights, steps: Steps) -> ImageSet:
    """The images with the teacher's best class of each."""
    views = Views(part.images.source, PAPER)
    found = list[NDArray[np.int32]]()
    firsts = range(0, len(part.images), BATCH)
    with load_runner(KERAS)(teacher.spec, teacher) as runner:
        for first in steps.track(firsts, len(firsts)):
            numbers = range(first, min(first + BATCH, len(part.images)))
            answers = runner.predict(np.stack([views.pixels(n, CENTRE) for n in numbers]))
            one_output = answers.shape[1] == 1
            best = answers[:, 0] >= 1 / 2 if one_output else answers.argmax(axis=1)
            found.append(best.astype(np.int32))
    return replace(part, images=replace(part.images, targets=np.concatenate(found)))
