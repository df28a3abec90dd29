"""The training recipe as data: the paper's values are the defaults.

Source: K. Simonyan and A. Zisserman, arXiv 1409.1556, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Self

from vggexport.errors import InputError
from vggexport.system.json_values import JsonValue

INITIALIZERS = ("paper", "he")

_RANGES: Mapping[str, tuple[tuple[str, ...], Callable[[Any], bool]]] = {
    "1 or more": (("batch", "patience", "epochs", "views"), lambda value: value >= 1),
    "0 or more": (("decreases", "restarts", "seed"), lambda value: value >= 0),
    "0 or more, but not infinite": (("weight_decay",), lambda value: 0 <= value < inf),
    "more than 0, but not infinite": (("learning_rate",), lambda value: 0 < value < inf),
    "more than 1, but not infinite": (("learning_rate_divisor",), lambda value: 1 < value < inf),
    "0 to less than 1": (("momentum", "dropout"), lambda value: 0 <= value < 1),
    " or ".join(INITIALIZERS): (("initializer",), lambda value: value in INITIALIZERS),
}
"""What fields may be: by what is expected of them, their names and the condition."""

REFERENCE_SIZE = 224
"""Side of the paper's crops: its scales are for this one, and other sizes are in proportion."""


@dataclass(frozen=True, slots=True)
class Recipe(JsonValue):
    """How a network is trained.

    The loss is the multinomial logistic regression (categorical cross-entropy of the softmax; of a
    sigmoid, binary cross-entropy) plus the L2 penalty; stochastic gradient descent with momentum
    minimises it. The paper's random colour shift of training images is left out.

    Attributes:
        batch: Images of a step (256).
        learning_rate: Of the first steps (1e-2).
        learning_rate_divisor: What it is divided by when validation accuracy stops improving (10).
        patience: Epochs without improvement that count as "stopped". The paper does not say.
        decreases: How often it is divided before training stops (3).
        epochs: At most (74).
        momentum: Of the gradient descent (0.9).
        weight_decay: Multiplier of the sum of squares of each kernel (5e-4).
        dropout: Share of inputs dropped after the first two fully connected layers (0.5).
        min_scale: Smallest short side that a training image is resized to for a crop of 224 (256).
        max_scale: Largest (512).
        flip: Whether half of the crops are mirrored (yes).
        initializer: Of layers without weights: "paper", a normal distribution of variance 1e-2
            squared, or "he" (arXiv 1502.01852). The paper's text says "10^-2 variance"; Krizhevsky
            et al. (2012), whose procedure it follows, have 1e-2 for the standard deviation, and
            with ten times that the logits of VGG-D start in the thousands.
        restarts: How often training may begin anew from the same weights, each time at a third of
            the learning rate, because it diverged. The paper's rate of 1e-2 is for 1.2 million
            images and all layers; of a head alone on few photographs it is beyond what gradient
            descent is stable at (2 over the largest curvature: LeCun, Bottou, Orr and Mueller,
            "Efficient BackProp", 1998, section 5.1).
        views: Training views of an image that are computed where layers are frozen; the first is
            the centre crop, the others are random crops. Not the paper's, which freezes nothing.
        seed: Of everything random.
    """

    batch: int = 256
    learning_rate: float = 1e-2
    learning_rate_divisor: float = 10.0
    patience: int = 5
    decreases: int = 3
    epochs: int = 74
    momentum: float = 0.9
    weight_decay: float = 5e-4
    dropout: float = 0.5
    min_scale: int = 256
    max_scale: int = 512
    flip: bool = True
    initializer: str = "paper"
    restarts: int = 8
    views: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what no training can do.

        Raises:
            InputError: All that is out of range, at once.
        """
        if problems := list(self._problems()):
            raise InputError(f"training recipe: {'; '.join(problems)}")

    def _problems(self) -> Iterator[str]:
        for expected, (names, holds) in _RANGES.items():
            for name in names:
                if not holds(getattr(self, name)):
                    yield f"{name} is {getattr(self, name)}, expected {expected}"
        if not REFERENCE_SIZE <= self.min_scale <= self.max_scale:
            yield (
                f"scales are {self.min_scale}...{self.max_scale}, expected {REFERENCE_SIZE} or "
                "more, the smaller first"
            )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The recipe that :meth:`to_json` recorded.

        Raises:
            InputError: It is another kind of record.
        """
        try:
            return cls(**data)
        except TypeError as error:
            raise InputError(f"training recipe is not readable: {error}") from error


PAPER = Recipe()
