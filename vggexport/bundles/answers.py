"""Golden images and the answers that each model file gave for them where it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vggexport.bundles.tolerances import DeviceTolerance
from vggexport.errors import ArtifactError, one_line

SCHEMA = 1

_ABOVE = 1.001  # all probabilities, whose last digits a softmax may round up

Probabilities = NDArray[np.float32]
"""(images, classes)."""


@dataclass(frozen=True, slots=True)
class GoldenInput:
    """An image as the networks take it.

    Attributes:
        file: PNG in the bundle, of the network's input size.
        label: What the image is called where it came from.
    """

    file: str
    label: str


@dataclass(frozen=True, slots=True)
class GoldenSource:
    """An image of another size, and what the preprocessing makes of it: both PNG in the bundle."""

    file: str
    prepared: str


@dataclass(frozen=True, eq=False)
class GivenAnswers:
    """What one network gave.

    Attributes:
        name: The file in the bundle; of the reference, whatever it was.
        precision: How it computes.
        runtime: Name and version of what ran it.
        provider: What that computed on.
        probabilities: For each golden image.
        tolerances: How far the same file may be from them elsewhere; nothing for the reference.
    """

    name: str
    precision: str
    runtime: str
    provider: str
    probabilities: Probabilities
    tolerances: tuple[DeviceTolerance, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "name": self.name,
            "precision": self.precision,
            "runtime": self.runtime,
            "provider": self.provider,
            "tolerances": [tolerance.to_json() for tolerance in self.tolerances],
            "probabilities": [[_shortest(p) for p in row] for row in self.probabilities],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], shape: tuple[int, int]) -> Self:
        """Reads :meth:`to_json`.

        Raises:
            ValueError: The probabilities are not of that shape, or none.
        """
        values = np.array(data["probabilities"], np.float64)
        if not shape[0] or values.shape != shape or not ((values >= 0) & (values < _ABOVE)).all():
            raise ValueError(f"no probabilities of shape {shape}, but {values.shape}")
        probabilities = values.astype(np.float32)
        return cls(
            str(data["name"]),
            str(data["precision"]),
            str(data["runtime"]),
            str(data["provider"]),
            probabilities,
            tuple(map(DeviceTolerance.from_json, data["tolerances"])),
        )


@dataclass(frozen=True, eq=False)
class GoldenAnswers:
    """All of a bundle.

    Attributes:
        source: Where the images came from.
        images: The golden images.
        sources: Pairs that show the preprocessing.
        reference: What the network's finest form gave.
        artifacts: What each file gave.
    """

    source: str
    images: tuple[GoldenInput, ...]
    sources: tuple[GoldenSource, ...]
    reference: GivenAnswers
    artifacts: tuple[GivenAnswers, ...]

    def to_json(self) -> dict[str, Any]:
        """What a bundle holds."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "images": [{"file": image.file, "label": image.label} for image in self.images],
            "preprocessing": [{"file": s.file, "prepared": s.prepared} for s in self.sources],
            "reference": self.reference.to_json(),
            "artifacts": [given.to_json() for given in self.artifacts],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], classes: int) -> Self:
        """Reads :meth:`to_json`.

        Raises:
            ArtifactError: It is not that, or not for so many classes.
        """
        try:
            images = tuple(GoldenInput(str(i["file"]), str(i["label"])) for i in data["images"])
            _check_distinct(images)
            shape = (len(images), classes)
            return cls(
                str(data["source"]),
                images,
                tuple(
                    GoldenSource(str(s["file"]), str(s["prepared"])) for s in data["preprocessing"]
                ),
                GivenAnswers.from_json(data["reference"], shape),
                tuple(GivenAnswers.from_json(given, shape) for given in data["artifacts"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ArtifactError(
                f"the golden answers are not readable ({one_line(error)}): get the bundle anew"
            ) from error

    def of(self, name: str) -> GivenAnswers:
        """What one file gave.

        Raises:
            ArtifactError: It is not among them.
        """
        for given in self.artifacts:
            if given.name == name:
                return given
        raise ArtifactError(f"there are no golden answers of {name}: get the bundle anew")


def _check_distinct(images: Sequence[GoldenInput]) -> None:
    """All are in memory at once: no more of them than the bundle has files."""
    if len({image.file for image in images}) != len(images):
        raise ValueError("an image comes twice")


def _shortest(value: np.float32) -> float:
    """The shortest decimal number that is read back as this one."""
    return float(str(value))
