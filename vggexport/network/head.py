"""What stands after the convolutions: how their features enter, hidden layers, and the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Pooling(StrEnum):
    """What the head makes of the last feature map: all of its values, or one of each channel."""

    FLATTEN = "flatten"
    AVERAGE = "average"
    MAX = "max"


class HeadActivation(StrEnum):
    """How logits become probabilities: of one class of all, or of each output by itself."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"

    @property
    def least_outputs(self) -> int:
        """Outputs that it makes sense for: the softmax of one is always 1."""
        return 2 if self is HeadActivation.SOFTMAX else 1


@dataclass(frozen=True, slots=True)
class FullyConnected:
    """One hidden layer of the head: its outputs, and whether a ReLU follows; else it is linear."""

    units: int
    relu: bool = True


def units_text(units: Sequence[int]) -> str:
    """Units of the hidden layers as ``--fc-units`` takes them: "256" for two of 256."""
    match tuple(units):
        case ():
            return "none"
        case (one,):
            return f"{one},"
        case (one, other) if one == other:
            return str(one)
    return ",".join(map(str, units))


def fully_connected(*units: int) -> tuple[FullyConnected, ...]:
    """Hidden layers of so many units each, with ReLU."""
    return tuple(map(FullyConnected, units))
