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
        validation_loss: Mean cross-entropy of the validation images, where they have no classes
            with the teacher's answers.
        validation_accuracy: Share of those that are right; None where they have no classes.
        seconds: Wall-clock seconds.
        validation_agreement: Share of those with the teacher's best class; None where they have
            classes.
    """

    json_keys = """
        number learning_rate loss validation_loss validation_accuracy seconds validation_agreement?
    """

    number: int
    learning_rate: float
    loss: float
    validation_loss: float
    validation_accuracy: float | None
    seconds: float
    validation_agreement: float | None = None

    @property
    def right(self) -> float:
        """Accuracy or agreement, whichever there is: what the best epoch is chosen by."""
        return _right(self)

    def better_than(self, other: Epoch | Beginning | None) -> bool:
        """Whether its weights are to be kept: more accurate, or as accurate with less loss."""
        if other is None:
            return True
        return (self.right, -self.validation_loss) > (other.right, -other.validation_loss)


@dataclass(frozen=True, slots=True)
class Beginning(JsonValue):
    """What the weights that a training from a teacher began with give, as an epoch's do.

    Attributes:
        validation_loss: As of an epoch.
        validation_accuracy: As of an epoch.
        validation_agreement: As of an epoch.
    """

    json_keys = "validation_loss validation_accuracy validation_agreement?"

    validation_loss: float
    validation_accuracy: float | None
    validation_agreement: float | None = None

    @property
    def right(self) -> float:
        """As of an epoch."""
        return _right(self)


def _right(found: Epoch | Beginning) -> float:
    shares = found.validation_accuracy, found.validation_agreement
    return next(share for share in shares if share is not None)


def training_failures(epochs: Sequence[Epoch], best: Epoch, guessed: float) -> tuple[str, ...]:
    """Why weights are not trained, a clause each.

    ``guessed`` is the share of the class that most validation images are of, or that the teacher
    says of most: who always says it is as right.
    """
    found = []
    if best.right <= guessed:
        by_teacher = " by the teacher's best class" if best.validation_accuracy is None else ""
        found.append(
            f"the best epoch gets {best.right:.1%} of the validation images right{by_teacher}, no "
            f"more than guessing their most frequent class does ({guessed:.1%})"
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
        teacher: Source of the weights whose answers were learnt; None for classes.
        before: What the weights that it began with gave, where there is a teacher.
    """

    json_keys = """
        schema weights={path sha256 spec} recipe labels frozen training_images validation_images
        validation_csv=validation_table validation_accuracy=accuracy
        validation_accuracy_ci95=interval.ends best_epoch=best epochs
        image_files=contents{files pictures skipped junk}
        validation_image_files=validation_contents{files pictures skipped junk}
        seconds peak_rss_bytes failures passed teacher? before?
        validation_agreement?=agreement validation_agreement_ci95?=agreement_interval.ends
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
    teacher: str | None = None
    before: Beginning | None = None

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the weights are not called trained, a clause each; empty where they are."""
        return training_failures(self.epochs, self.kept, self.guessed)

    @property
    def kept(self) -> Epoch:
        """The epoch whose weights were written."""
        return self.epochs[self.best - 1]

    @property
    def accuracy(self) -> float | None:
        """Share of the validation images that the weights get right, where they have classes."""
        return self.kept.validation_accuracy

    @property
    def agreement(self) -> float | None:
        """Share of the validation images with the teacher's best class, where they have none."""
        return self.kept.validation_agreement

    @property
    def interval(self) -> Interval | None:
        """Of the accuracy, were the images not what the best epoch was chosen by."""
        return self._interval if self.agreement is None else None

    @property
    def agreement_interval(self) -> Interval | None:
        """Of the agreement, likewise."""
        return None if self.agreement is None else self._interval

    @property
    def _interval(self) -> Interval:
        return wilson(round(self.kept.right * self.validation_images), self.validation_images)
