"""Golden images and the answers that each model file gave for them where it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vggexport.bundles import LABELS
from vggexport.bundles.golden_frames import GoldenFrame
from vggexport.bundles.tolerances import DeviceTolerance
from vggexport.errors import ArtifactError, one_line
from vggexport.metrics.accuracy import best_classes
from vggexport.system.json_values import WRONG_KINDS, Form, JsonValue, read_fields

_ABOVE = 1.001  # all probabilities, whose last digits a softmax may round up


def _written(probabilities: NDArray[np.float32]) -> list[list[float]]:
    """The shortest decimal numbers that are read back as these."""
    return [[float(str(value)) for value in row] for row in probabilities]


def _read(data: Any) -> NDArray[np.float32]:
    values = np.array(data, np.float64)
    if not ((values >= 0) & (values < _ABOVE)).all():
        raise ValueError("no probabilities")
    return values.astype(np.float32)


Probabilities = Annotated[NDArray[np.float32], Form(_written, _read)]
"""(images, classes)."""


@dataclass(frozen=True, slots=True)
class GoldenInput(JsonValue):
    """An image as the networks take it.

    Attributes:
        file: PNG in the bundle, of the network's input size.
        label: What the image is called where it came from.
    """

    file: str
    label: str


@dataclass(frozen=True, slots=True)
class GoldenSource(JsonValue):
    """An image file, and what the preprocessing makes of it, in the bundle.

    Attributes:
        file: PNG or JPEG, to be decoded as the first step says.
        prepared: PNG.
        tolerance_levels: How far a pixel may be; None for what the preprocessing allows.
    """

    json_keys = "file prepared tolerance_levels?"

    file: str
    prepared: str
    tolerance_levels: int | None = None


@dataclass(frozen=True, slots=True)
class BestClass(JsonValue):
    """The class that an image was taken for.

    Attributes:
        index: Its place among the classes, from 0.
        label: What an app shows for it: its line of ``labels.txt``.
    """

    index: int
    label: str


def _best_places(probabilities: NDArray[np.float32]) -> list[int]:
    places: list[int] = best_classes(probabilities, 1)[:, 0].tolist()
    return places


def _best(probabilities: NDArray[np.float32], names: Sequence[str]) -> tuple[BestClass, ...]:
    return tuple(BestClass(index, names[index]) for index in _best_places(probabilities))


@dataclass(frozen=True, eq=False)
class GivenAnswers(JsonValue):
    """What one network gave.

    Attributes:
        name: The file in the bundle; of the reference, whatever it was.
        precision: How it computes.
        runtime: Name and version of what ran it.
        provider: What that computed on.
        probabilities: For each golden image.
        tolerances: How far the same file may be from them elsewhere; nothing for the reference.
        processor: Where it ran, by :func:`vggexport.system.machine.processor`; "" where unknown.
        picture_probabilities: For each of the pictures; None of the reference and in old bundles.
        best: The class of each golden image; None of the reference and in old bundles.
        picture_best: The same of each picture.
    """

    json_keys = """
        name precision runtime provider processor? tolerances probabilities best?
        picture_probabilities? picture_best?
    """

    name: str
    precision: str
    runtime: str
    provider: str
    probabilities: Probabilities
    tolerances: tuple[DeviceTolerance, ...] = ()
    processor: str = ""
    picture_probabilities: Probabilities | None = None
    best: tuple[BestClass, ...] | None = None
    picture_best: tuple[BestClass, ...] | None = None

    def named(self, names: Sequence[str]) -> Self:
        """With the best classes, which are called so, a name a class."""
        pictures = self.picture_probabilities
        shown = None if pictures is None else _best(pictures, names)
        return replace(self, best=_best(self.probabilities, names), picture_best=shown)


@dataclass(frozen=True, eq=False)
class GoldenAnswers(JsonValue):
    """All of a bundle.

    Attributes:
        source: Where the images came from.
        images: The golden images.
        sources: Pairs that show the preprocessing.
        reference: What the network's finest form gave.
        artifacts: What each file gave.
        pictures: What the preprocessing makes of the pictures as phones have them. Their colours
            are vivid, whatever the golden images are; nothing in older bundles.
        frames: A camera's, and the pixels that they become; nothing in older bundles.
    """

    json_keys = "schema source images preprocessing=sources reference artifacts pictures? frames?"

    schema: ClassVar[int] = 1
    source: str
    images: tuple[GoldenInput, ...]
    sources: tuple[GoldenSource, ...]
    reference: GivenAnswers
    artifacts: tuple[GivenAnswers, ...]
    pictures: tuple[GoldenInput, ...] = ()
    frames: tuple[GoldenFrame, ...] = ()

    @classmethod
    def of_bundle(cls, data: Mapping[str, Any], classes: int) -> Self:
        """Reads :meth:`to_json`.

        Raises:
            ArtifactError: It is not that, or not for so many classes.
        """
        try:
            found = cls(**read_fields(cls, data))
            _check_distinct((*found.images, *found.pictures))
            _check_shapes(found, classes)
        except WRONG_KINDS as error:
            raise ArtifactError(
                f"the golden answers are not readable ({one_line(error)}): get the bundle again"
            ) from error
        return found

    def of(self, name: str) -> GivenAnswers:
        """What one file gave.

        Raises:
            ArtifactError: It is not among them.
        """
        for given in self.artifacts:
            if given.name == name:
                return given
        raise ArtifactError(f"there are no golden answers of {name}: get the bundle again")

    def misnamed(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """How the lines of ``labels.txt`` contradict the best classes, a clause; empty for not."""
        for given in self.artifacts:
            for best in (*(given.best or ()), *(given.picture_best or ())):
                if names[best.index : best.index + 1] != (best.label,):
                    claim = f"does not call class {best.index} {best.label!r}"
                    return (f"{LABELS} {claim}, as the golden answers of {given.name} do",)
        return ()


def _check_distinct(images: Sequence[GoldenInput]) -> None:
    """All are in memory at once: no more of them than the bundle has files."""
    if len({image.file for image in images}) != len(images):
        raise ValueError("an image comes twice")


def _check_shapes(answers: GoldenAnswers, classes: int) -> None:
    given, pictures = answers.artifacts, answers.pictures
    for images, probabilities, best in (
        *((answers.images, one.probabilities, one.best) for one in (answers.reference, *given)),
        *((pictures, one.picture_probabilities, one.picture_best) for one in given if pictures),
    ):
        shape = len(images), classes
        if not images or probabilities is None or probabilities.shape != shape:
            raise ValueError(f"no probabilities of shape {shape}")
        if best and [one.index for one in best] != _best_places(probabilities):
            raise ValueError("the best classes are not those of the probabilities")
