"""What a training needs before its first epoch: images parted and read, frozen layers computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import calibration
from calibration.splitting import stratified_split
from vggexport.errors import Advice, CalibrationError, InputError, OutputError, Unfinished
from vggexport.formats.registry import KERAS, load_runner
from vggexport.network.pictures import UNSTATED
from vggexport.network.spec import VGGSpec
from vggexport.network.training_recipe import REFERENCE_SIZE, Recipe
from vggexport.opening.calibration_images import translated
from vggexport.opening.labelled_images import readable
from vggexport.system.output_files import is_full
from vggexport.system.progress import Steps
from vggexport.system.user_cache import user_cache
from vggexport.training.features import Features, Frozen
from vggexport.training.image_views import CENTRE, Views
from vggexport.training.initial_weights import InitialWeights
from vggexport.training.job import Read, Sample, TrainingJob
from vggexport.weights import Weights

CONVOLUTIONS, NOTHING = "conv", "none"
"""What may be frozen, beside all up to a block."""


def last_frozen(freeze: str, spec: VGGSpec) -> str | None:
    """The layer whose output is the input of what is trained; None where all is.

    Raises:
        InputError: There is no such block.
    """
    if freeze in {CONVOLUTIONS, NOTHING}:
        return spec.head_input if freeze == CONVOLUTIONS else None
    blocks = [f"block{number}" for number in range(1, len(spec.blocks) + 1)]
    if freeze not in blocks:
        choices = ", ".join((CONVOLUTIONS, NOTHING, *blocks))
        raise InputError(
            f"no block to freeze is named {freeze!r}", Advice(f"{{}} takes {choices}", "freeze")
        )
    return spec.head_input if freeze == blocks[-1] else f"{freeze}_pool"


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Readable images to learn from or to judge by, with the digests of their files in order."""

    images: calibration.LabelledImages
    digests: tuple[str, ...]

    @property
    def identity(self) -> str:
        """What tells these images and their classes from others."""
        lines = zip(self.digests, self.images.targets, strict=True)
        return calibration.fingerprint([f"{digest} {target}" for digest, target in lines])

    def some(self, indices: NDArray[np.intp]) -> ImageSet:
        """Some of them."""
        return ImageSet(self.images.chosen(indices), tuple(self.digests[i] for i in indices))


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Images and initial weights that fit each other.

    Attributes:
        start: The weights.
        labels: Names of the classes, by index.
        after: The last frozen layer, or None.
        training: Images to learn from.
        validation: Images to judge by.
        teacher: Weights whose answers are learnt in place of classes, or None.
        unlabelled: Whether images have no classes: their targets are the teacher's best.
    """

    start: InitialWeights
    labels: tuple[str, ...]
    after: str | None
    training: ImageSet
    validation: ImageSet
    teacher: Weights | None = None
    unlabelled: bool = False

    @property
    def _pictures(self) -> dict[str, Any]:
        """Nothing for the defaults, of which checkpoints of 0.1.0 say nothing."""
        size, pictures = self.start.spec.input_size, self.start.pictures
        is_usual = pictures.pixels(size) == UNSTATED.pixels(size)
        return {} if is_usual else {"pictures": pictures.to_json()}

    @property
    def identity(self) -> dict[str, Any]:
        """What a training must have in common with one that it goes on from."""
        return {
            "network": self.start.spec.to_json(),
            "weights": self.start.identity,
            "frozen": self.after,
            "labels": list(self.labels),
            **self._pictures,
            "training images": self.training.identity,
            "validation images": self.validation.identity,
            **({"teacher": self.teacher.sha256} if self.teacher else {}),
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """Which images are learnt from, and which judged by.

    ``split`` is the share that is split off to judge by, ``max_unreadable`` the one that may be
    unreadable.
    """

    split: float
    seed: int
    max_unreadable: float


def open_training_data(
    start: InitialWeights,
    labels: Sequence[str],
    images: calibration.LabelledImages,
    others: calibration.LabelledImages | None,
    steps: Steps,
    *,
    after: str | None,
    choice: Choice,
) -> TrainingData:
    """Reads all images once, and parts them.

    Without others to judge by, some of the images are split off.

    Raises:
        CalibrationError: Images cannot be used, or a class is too small.
        CalibrationDataError: A class is unknown.
    """
    most = choice.max_unreadable
    part = _read(images, start, labels, steps, most, Advice("leave it out of {}", "labels"))
    if others is None:
        with translated(Advice("name others to judge by with {}", "validation_data")):
            learn, judge = map(
                part.some, stratified_split(part.images, choice.split, seed=choice.seed)
            )
    else:
        instead = Advice("leave out {}", "validation_data")
        learn, judge = part, _read(others, start, labels, steps, most, instead)
    note_shared(learn, judge, steps)
    return TrainingData(start, tuple(labels), after, learn, judge)


def note_shared(learn: ImageSet, judge: ImageSet, steps: Steps) -> None:
    """Says so where images to judge by are learnt from, too."""
    if shared := len(set(learn.digests) & set(judge.digests)):
        steps.progress.note(
            f"{shared} of the validation images are trained on too, so the validation accuracy is "
            "better than on unseen images"
        )


def _read(
    images: calibration.LabelledImages,
    start: InitialWeights,
    labels: Sequence[str],
    steps: Steps,
    max_unreadable: float,
    instead: Advice,
) -> ImageSet:
    part = read_set(images.ordered_by(labels, start.source), start, steps, max_unreadable)
    if empty := [n for n, count in zip(labels, part.images.counts, strict=True) if not count]:
        raise CalibrationError(
            f"{images.source.name!r} has no readable image of class {empty[0]!r}",
            "add some",
            instead,
        )
    return part


def read_set(
    images: calibration.LabelledImages, start: InitialWeights, steps: Steps, max_unreadable: float
) -> ImageSet:
    """Those that can be read, as the network takes them.

    Raises:
        CalibrationError: Too many cannot be.
    """
    source = replace(images.source, size=start.spec.input_size, pictures=start.pictures)
    return ImageSet(*readable(replace(images, source=source), steps, max_unreadable))


def open_images(folder: Path) -> calibration.LabelledImages:
    """The images of a folder, their size still to be told by the weights."""
    return calibration.open_labelled(folder, size=REFERENCE_SIZE)


def training_job(
    data: TrainingData, recipe: Recipe, cache: Path | None, steps: Steps
) -> TrainingJob:
    """What the trainer is given; outputs of frozen layers are computed now, and kept in a cache.

    Raises:
        InputError: A layer would be frozen that is random.
        OutputError: The cache cannot be written.
        Unfinished: It has no room.
    """
    parts = data.training, data.validation
    if data.after is None:
        reads: list[Read] = [Views(part.images.source, recipe).pixels for part in parts]
    else:
        reads = _computed(data, data.after, recipe, cache, steps)
    training, validation = (
        Sample(np.arange(len(part.images)), part.images.targets, read)
        for part, read in zip(parts, reads, strict=True)
    )
    spec, views = data.start.spec, recipe.views if data.after else 0
    return TrainingJob(
        spec, data.after, data.start, views, training, validation, data.teacher, data.unlabelled
    )


def _computed(
    data: TrainingData, layer: str, recipe: Recipe, cache: Path | None, steps: Steps
) -> list[Read]:
    """What gives the outputs of a frozen layer, for images to learn from and to judge by."""
    cache = cache or user_cache("features")
    frozen = Frozen(data.start.spec, layer, data.start.up_to(layer))
    parts, reads = (data.training, data.validation), list[Read]()
    wanted = [range(recipe.views), (CENTRE,)]
    total = sum(len(p.images) * len(v) for p, v in zip(parts, wanted, strict=True))
    done = 0
    with steps.step("frozen layers"):
        runner = load_runner(KERAS)(data.start.spec, frozen.weights)
        for part, views in zip(parts, wanted, strict=True):
            features = Features(frozen, Views(part.images.source, recipe), cache)
            every = [(index, view) for view in views for index in range(len(part.images))]
            try:
                for _ in features.compute(every, runner):
                    done += 1
                    steps.progress.advance(done, total)
            except OSError as error:
                kind = Unfinished if is_full(error) else OutputError
                raise kind(
                    f"features cannot be kept in {cache}: {error.strerror or error}",
                    "make room there",
                    Advice("name another folder with {}", "cache_dir"),
                ) from error
            reads.append(features.read)
    return reads
