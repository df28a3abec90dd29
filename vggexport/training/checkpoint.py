"""How far a training is, and how it is kept on disk so that it can go on as if never stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vggexport.errors import Advice, InputError
from vggexport.network.spec import UNSAID_IN_0_1_0
from vggexport.network.training_recipe import Recipe
from vggexport.results.train import Beginning, Epoch
from vggexport.system.differences import differences
from vggexport.system.json_values import JsonValue
from vggexport.weights.safetensors_file import read_metadata, read_safetensors, write_safetensors

METADATA_KEY = "vggexport.training"
STATE_NAME = "state.safetensors"
BEGIN_ANEW = Advice("start again with {}", "force")
VELOCITY = "velocity:"
"""Stands before the name of a tensor whose momentum is kept."""

RESTART_DIVISOR = 10**0.5
"""What the learning rate is divided by each time: steps of 3, as rates are tried by hand."""

Tensors = Mapping[str, Any]
"""By name what has a shape and can be made an array, such as a variable."""


@dataclass(frozen=True, slots=True)
class Course(JsonValue):
    """The epochs so far, and what follows from them.

    Attributes:
        recipe: How it is trained.
        learning_rate: Of the next epoch.
        history: The epochs so far.
        best: The one whose weights are kept.
        waited: Epochs since validation accuracy last rose, or since the rate was last divided.
        decreases: How often the rate was divided.
        restarts: How often it diverged and was begun anew at a lower rate.
        patience: Epochs without improvement before the rate is divided; 0 for the recipe's.
        equal_batches: Whether batches are as equal as can be; those of 0.1.0 were not, and what it
            began goes on as it would have.
        before: What the weights that it began with gave, where there is a teacher.
    """

    json_keys = """
        recipe learning_rate history best waited decreases restarts? patience? equal_batches?
        before?
    """

    recipe: Recipe
    learning_rate: float
    history: tuple[Epoch, ...] = ()
    best: Epoch | None = None
    waited: int = 0
    decreases: int = 0
    restarts: int = 0
    patience: int = 0
    equal_batches: bool = False
    before: Beginning | None = None

    @classmethod
    def begin(cls, recipe: Recipe) -> Self:
        """Before the first epoch."""
        return cls(recipe, recipe.learning_rate, equal_batches=True)

    def begun_anew(self) -> Course:
        """Before the first epoch once more, at a lower rate."""
        first = self.history[0].learning_rate if self.history else self.learning_rate
        return replace(
            Course.begin(self.recipe),
            learning_rate=first / RESTART_DIVISOR,
            restarts=self.restarts + 1,
            patience=self.patience,
            equal_batches=self.equal_batches,
            before=self.before,
        )

    @property
    def is_over(self) -> bool:
        """Whether there is no further epoch."""
        return len(self.history) >= self.recipe.epochs or self.decreases > self.recipe.decreases

    def after(self, epoch: Epoch) -> Course:
        """One epoch further.

        The paper divides the rate when validation accuracy stops improving, three times, and ends
        after that (section 3.1).
        """
        highest = max((past.right for past in self.history), default=-1.0)
        waited = 0 if epoch.right > highest else self.waited + 1
        course = replace(
            self,
            history=(*self.history, epoch),
            best=epoch if epoch.better_than(self.best) else self.best,
            waited=waited,
        )
        if waited < (self.patience or self.recipe.patience):
            return course
        rate = self.learning_rate / self.recipe.learning_rate_divisor
        return replace(course, learning_rate=rate, waited=0, decreases=self.decreases + 1)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder with the state after the last epoch, and the best weights so far.

    Attributes:
        folder: Where it is.
        identity: What a training must have in common with one that it goes on from: the network,
            the weights that it began with, the images, and which layers are frozen.
    """

    folder: Path
    identity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state_path(self) -> Path:
        """The state after the last epoch."""
        return self.folder / STATE_NAME

    def best_path(self, course: Course) -> Path:
        """The best weights of a course; another epoch's have another name."""
        assert course.best is not None  # noqa: S101  there is one after every epoch
        return self.folder / f"best_{course.best.number:04}.safetensors"

    @property
    def exists(self) -> bool:
        """Whether there is one to go on from."""
        return self.state_path.is_file()

    def check_exists(self) -> None:
        """Refuses to go on from nothing.

        Raises:
            InputError: There is none.
        """
        if not self.exists:
            leave_out = Advice("leave out {}", "resume")
            raise InputError(f"{self.folder} holds no checkpoint to resume", leave_out)

    def save(self, course: Course, weights: Tensors, velocities: Tensors) -> None:
        """Keeps an epoch. A process killed meanwhile leaves the one before.

        Tensors are read one by one; velocities are their momenta.
        """
        self.folder.mkdir(exist_ok=True)
        if course.best is course.history[-1]:
            self._write(self.best_path(course), weights, course)
        momenta = {VELOCITY + name: velocity for name, velocity in velocities.items()}
        self._write(self.state_path, {**weights, **momenta}, course)
        for old in self.folder.glob("best_*.safetensors"):
            if old != self.best_path(course):
                old.unlink()

    def load(self, recipe: Recipe) -> tuple[Course, dict[str, NDArray[np.float32]]]:
        """The state after the last epoch, and every tensor of it.

        Of the recipe only the number of epochs may be another now.

        Raises:
            InputError: There is none, or it is of another training.
            WeightsError: It is damaged.
        """
        self.check_exists()
        course, identity = self._describe()
        asked = {**self.identity, "recipe": _lasting(recipe)}
        found = {**identity, "recipe": _lasting(course.recipe)}
        for other in differences(found, asked):
            raise InputError(
                f"{self.folder} is the checkpoint of another training: {other.name} was "
                f"{other.first} there and is {other.second} now",
                "train as before",
                BEGIN_ANEW,
            )
        if not self.best_path(course).is_file():
            raise InputError(f"{self.best_path(course)} is gone", BEGIN_ANEW)
        course = replace(course, recipe=replace(course.recipe, epochs=recipe.epochs))
        tensors = {name: t.read() for name, t in read_safetensors(self.state_path).items()}
        return course, tensors

    def best(self, course: Course) -> dict[str, NDArray[np.float32]]:
        """The best weights, each tensor read now."""
        archive = read_safetensors(self.best_path(course))
        return {name: tensor.read() for name, tensor in archive.items()}

    def remove(self) -> None:
        """Deletes what :meth:`save` wrote, and what it was writing when it was killed."""
        names = (STATE_NAME, "best_*.safetensors")
        for pattern in (*names, *map(_part_name, names)):
            for path in self.folder.glob(pattern):
                path.unlink()
        with suppress(OSError):  # what others put there stays
            self.folder.rmdir()

    def _describe(self) -> tuple[Course, Mapping[str, Any]]:
        try:
            data = json.loads(read_metadata(self.state_path)[METADATA_KEY])
            identity = data["identity"]
            network = {**UNSAID_IN_0_1_0, **identity["network"]}
            return Course.from_json(data["course"]), {**identity, "network": network}
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.state_path} is not a checkpoint of vggexport: {error!r}"
            ) from error

    def _write(self, path: Path, tensors: Tensors, course: Course) -> None:
        """Writes a file whole or not at all."""
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        arrays = (np.asarray(tensor) for tensor in tensors.values())
        data = {"identity": self.identity, "course": course.to_json()}
        part = path.with_name(_part_name(path.name))
        try:
            write_safetensors(part, shapes, arrays, {METADATA_KEY: json.dumps(data)})
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _part_name(name: str) -> str:
    """Of a file that is being written."""
    return f".{name}"


def _lasting(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe cannot change on the way."""
    return {name: value for name, value in recipe.to_json().items() if name != "epochs"}
