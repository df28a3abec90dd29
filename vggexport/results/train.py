"""What ``train`` gives, and the recipe that ``summary --training`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibration import FolderContents
from vggexport.metrics.accuracy import Interval, wilson
from vggexport.network.spec import VGGSpec
from vggexport.network.training_recipe import Recipe
from vggexport.results.document import Document, StepSeconds
from vggexport.system.json_values import JsonValue

DIVERGED = 1000.0
"""Last loss over that of the first epoch from which on a training has diverged."""


@dataclass(frozen=True, slots=True)
class Epoch(JsonValue):
    """What one epoch gave.

    Attributes:
        number: From 1.
        learning_rate: Of its steps.
        loss: Mean loss of the steps, L2 penalty included, with dropout.
        validation_loss: Mean cross-entropy of the validation images.
        validation_accuracy: Share of those that are right.
        seconds: Wall-clock seconds.
    """

    number: int
    learning_rate: float
    loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float

    def better_than(self, other: Epoch | None) -> bool:
        """Whether its weights are to be kept: more accurate, or as accurate with less loss."""
        if other is None:
            return True
        mine, theirs = (
            (epoch.validation_accuracy, -epoch.validation_loss) for epoch in (self, other)
        )
        return mine > theirs


def training_failures(epochs: Sequence[Epoch], accuracy: float, guessed: float) -> tuple[str, ...]:
    """Why weights are not trained, a clause each.

    Args:
        epochs: What each gave.
        accuracy: Share of the validation images that the best is right on.
        guessed: Share of the class that most of them are of: who always says it is as right.
    """
    found = []
    if accuracy <= guessed:
        found.append(
            f"the best epoch gets {accuracy:.1%} of the validation images right, no more than "
            f"guessing their most frequent class does ({guessed:.1%})"
        )
    first, last = epochs[0].loss, epochs[-1].loss
    if last > DIVERGED * first:
        found.append(f"the loss grew from {first:.3g} to {last:.3g}")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class TrainingReport(Document):
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
        contents: What was found in the images' folder.
        validation_contents: The same of a folder of others to judge by, if there is one.
        guessed: Share of the validation images that the most frequent class has.
    """

    json_keys = """
        schema weights={path sha256 spec} recipe labels frozen training_images validation_images
        validation_csv=validation_table validation_accuracy=accuracy
        validation_accuracy_ci95=interval.ends best_epoch=best epochs
        image_files=contents{files pictures skipped junk}
        validation_image_files=validation_contents{files pictures skipped junk}
        seconds peak_rss_bytes failures passed
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
    epochs: tuple[Epoch, ...]
    best: int
    seconds: StepSeconds
    peak_rss_bytes: int
    contents: FolderContents | None = None
    validation_contents: FolderContents | None = None
    guessed: float = 0.0

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the weights are not called trained, a clause each; empty where they are."""
        return training_failures(self.epochs, self.accuracy, self.guessed)

    @property
    def accuracy(self) -> float:
        """Share of the validation images that the weights get right."""
        return self.epochs[self.best - 1].validation_accuracy

    @property
    def interval(self) -> Interval:
        """Of that, were the images not what the best epoch was chosen by."""
        return wilson(round(self.accuracy * self.validation_images), self.validation_images)
