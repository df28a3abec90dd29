"""How a layer that cannot be exported exactly is refused: one line with its name and class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vggexport.errors import WeightsError

SUPPORTED = (
    "supported are, in one line, Rescaling or Normalization at the front, Conv2D (odd square "
    "kernel, same padding, stride 1), Dense, ReLU, BatchNormalization, MaxPooling2D 2x2, Flatten, "
    "GlobalAveragePooling2D, GlobalMaxPooling2D, softmax or sigmoid at the end, and what does "
    "nothing at inference (Dropout, noise, augmentation)"
)
_LONGEST = 100
"""Of a text from the file in a message."""


def refusal(
    origin: str, name: str, class_name: str, why: str = "", advice: str = ""
) -> WeightsError:
    """The error for a layer.

    ``why`` says what about it is not exported, if it is not the class itself, and ``advice`` is the
    way out in place of the list of what is supported.
    """
    what = ", ".join(filter(None, (shown(class_name), why)))
    return WeightsError(
        f"{origin}: layer {shown(name)!r} ({what}) is not part of what vggexport exports: "
        f"{advice or SUPPORTED}"
    )


def shown(value: object) -> str:
    """A value from the file, on one line of bounded length."""
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


@contextmanager
def understanding(origin: str) -> Iterator[None]:
    """Turns what Python says of a structure that is none of Keras into one line.

    Raises:
        WeightsError: The description is damaged.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise WeightsError(
            f"{origin}: the description of its network is damaged "
            f"({type(error).__name__}: {shown(error)}): save the model again"
        ) from error
