"""Networks asked for the best classes of images, image by image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.metrics.accuracy import TOP_K, Best, best_classes, class_probabilities
from vggexport.network.layers import OUTPUT_NAME
from vggexport.opening.file_check import read
from vggexport.opening.models import OpenedModel
from vggexport.opening.run_options import RunOptions
from vggexport.opening.seen_images import count_seen
from vggexport.system.progress import Steps
from vggexport.system.typed_options import TypedOptions

CHUNK = 8
"""Images in memory at a time, and for a network that takes any number, in one batch."""


@dataclass(slots=True, eq=False)
class Answers:
    """What one network says of each image, by the image's index.

    Attributes:
        best: int32 (images, k), best class first.
        confidence: float32 (images,): the best class's probability.
        seen: Images that the network was calibrated on.
        seconds: Wall-clock seconds that it took.
    """

    best: Best
    confidence: NDArray[np.float32]
    seen: int = 0
    seconds: float = 0.0

    @classmethod
    def none(cls, images: int, classes: int) -> Answers:
        """Room for as many answers."""
        return cls(np.zeros((images, min(TOP_K, classes)), np.int32), np.zeros(images, np.float32))


@dataclass(slots=True, eq=False)
class Answered:
    """What all networks say of all images.

    Attributes:
        answers: By network, in the order asked.
        readable: bool (images,): whether there is an answer.
        digests: object (images,): SHA-256 of each that there is an answer for.
        unreadable: The other images, with what is wrong with each.
    """

    answers: list[Answers]
    readable: NDArray[np.bool_]
    digests: NDArray[np.object_]
    unreadable: list[str] = field(default_factory=list)

    def fingerprint(self, images: calibration.LabelledImages) -> str:
        """What tells the images that were read, and their classes, from others."""
        read = np.flatnonzero(self.readable)
        names = [images.classes[target] for target in images.targets[read]]
        pairs = zip(self.digests[read], names, strict=True)
        return calibration.fingerprint([f"{digest} {name}" for digest, name in pairs])


class Engine(Protocol):
    """Spreads images over what computes."""

    @property
    def name(self) -> str:
        """What a report calls it."""

    def answer(
        self, models: Sequence[OpenedModel], images: calibration.LabelledImages, steps: Steps
    ) -> Answered:
        """Asks every network about every image.

        Raises:
            CalibrationError: ``strict`` refuses an image.
        """


ENGINES: Mapping[str, str] = {
    "local": "vggexport.workflows.evaluate.predictions:LocalEngine",
    "ray": "vggexport.workflows.evaluate.ray_engine:RayEngine",
}


@dataclass(frozen=True, slots=True)
class EngineOptions(TypedOptions):
    """How work is spread.

    Attributes:
        name: Key of :data:`ENGINES`.
        address: Of a cluster; None for one on this machine.
        workers: Runners at a time; None for one a processor of the cluster.
        run: How each runs.
        strict: Refuse images that a network was calibrated on.
        clock: Gives seconds; injected by tests.
    """

    name: str = "local"
    address: str | None = None
    workers: int | None = None
    run: RunOptions = field(default_factory=RunOptions)
    strict: bool = False
    clock: Callable[[], float] = time.perf_counter


Chunk: TypeAlias = Sequence[tuple[int, calibration.SourceImage]]


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """This process: images are decoded in the background while the runtimes compute.

    Attributes:
        options: Of which it needs ``strict`` and ``clock``.
    """

    options: EngineOptions

    @property
    def name(self) -> str:
        """What a report calls it."""
        return "local"

    def answer(
        self, models: Sequence[OpenedModel], images: calibration.LabelledImages, steps: Steps
    ) -> Answered:
        """Asks all networks about a few images at a time, so that each is decoded once."""
        total = len(images)
        answered = Answered(
            [Answers.none(total, c.artifact.spec.label_count) for c in models],
            np.zeros(total, np.bool_),
            np.full(total, "", object),
        )
        readings = calibration.read_ahead(images.source, range(total), ahead=CHUNK)
        for chunk in _readable(steps.track(readings, total), answered):
            for model, answers in zip(models, answered.answers, strict=True):
                images_asked = [image for _, image in chunk]
                answers.seen += count_seen(model, images_asked, strict=self.options.strict)
                self._ask(model, chunk, answers)
        return answered

    def _ask(self, model: OpenedModel, chunk: Chunk, answers: Answers) -> None:
        begin = self.options.clock()
        best, confidence = ask(model, np.stack([image.pixels for _, image in chunk]))
        answers.seconds += self.options.clock() - begin
        indices = [index for index, _ in chunk]
        answers.best[indices], answers.confidence[indices] = best, confidence


def ask(model: OpenedModel, pixels: NDArray[np.uint8]) -> tuple[Best, NDArray[np.float32]]:
    """Best classes of images, uint8 (images, size, size, 3), and the probability of the first."""
    batch = model.artifact.batch or len(pixels)
    probabilities = read(model.runner, pixels, [OUTPUT_NAME], batch)[OUTPUT_NAME]
    return best_classes(probabilities), class_probabilities(probabilities).max(axis=1)


def _readable(
    readings: Iterator[tuple[int, calibration.SourceImage | calibration.UnreadableImageError]],
    answered: Answered,
) -> Iterator[Chunk]:
    """Chunks of what can be read; what cannot be is noted."""
    while chunk := tuple(islice(readings, CHUNK)):
        for _, image in chunk:
            if isinstance(image, calibration.UnreadableImageError):
                answered.unreadable.append(f"{image.label}: {image.reason}")
        whole = [(i, image) for i, image in chunk if isinstance(image, calibration.SourceImage)]
        if whole:
            indices = [index for index, _ in whole]
            answered.readable[indices] = True
            answered.digests[indices] = [image.digest for _, image in whole]
            yield whole
