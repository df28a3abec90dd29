"""What ``train`` gives, and the recipe that ``summary --training`` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vggexport.metrics.accuracy import Interval, wilson
from vggexport.network.spec import VGGSpec
from vggexport.network.training_recipe import Recipe
from vggexport.results.build import SCHEMA


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch gave; the figures of ``vggexport.training.checkpoint.Epoch``."""

    number: int
    learning_rate: float
    loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """One training.

    Attributes:
        path: The weights.
        sha256: Of that file.
        spec: The network.
        recipe: How it was trained.
        labels: Names of the classes, by index.
        frozen: The last layer that was not trained, or None.
        training_images: Number of images to learn from.
        validation_images: Number of images to judge by.
        validation_table: CSV file that names the latter, where they were split off.
        epochs: What each gave.
        best: Number of the epoch whose weights were written.
        seconds: Wall-clock seconds by step.
        peak_rss_bytes: Largest resident memory of the process so far.
    """

    path: str
    sha256: str
    spec: VGGSpec
    recipe: Recipe
    labels: tuple[str, ...]
    frozen: str | None
    training_images: int
    validation_images: int
    validation_table: str | None
    epochs: tuple[EpochRecord, ...]
    best: int
    seconds: Mapping[str, float]
    peak_rss_bytes: int

    @property
    def accuracy(self) -> float:
        """Share of the validation images that the weights get right."""
        return self.epochs[self.best - 1].validation_accuracy

    @property
    def interval(self) -> Interval:
        """Of that, were the images not what the best epoch was chosen by."""
        return wilson(round(self.accuracy * self.validation_images), self.validation_images)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "schema": SCHEMA,
            "weights": {"path": self.path, "sha256": self.sha256, "spec": self.spec.to_json()},
            "recipe": self.recipe.to_json(),
            "labels": list(self.labels),
            "frozen": self.frozen,
            "training_images": self.training_images,
            "validation_images": self.validation_images,
            "validation_csv": self.validation_table,
            "validation_accuracy": self.accuracy,
            "validation_accuracy_ci95": self.interval.to_json(),
            "best_epoch": self.best,
            "epochs": [epoch.to_json() for epoch in self.epochs],
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "peak_rss_bytes": self.peak_rss_bytes,
        }
