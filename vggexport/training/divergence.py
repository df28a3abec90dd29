"""A training that diverged: by its loss, and what to do about it."""

from __future__ import annotations

import math

from vggexport.errors import Advice, Unfinished

DIVERGED = 2.0
"""So many times the loss of guessing, ln(classes), above that of the weights as training began, and
it has diverged. Of images to learn from: that of others rises where there are few, too."""


class DivergedError(Unfinished):
    """The loss is not finite, or far above that of the beginning."""


def check_loss(
    loss: float, name: str, epoch: int, learning_rate: float, highest: float = math.inf
) -> None:
    """Stops a training that has diverged.

    Raises:
        DivergedError: The loss is not finite, or above the highest.
    """
    if not math.isfinite(loss) or loss > highest:
        raise DivergedError(
            f"the {name} is {loss:g} in epoch {epoch}: the training diverged",
            Advice(f"try {{}} {learning_rate / 10:g}", "learning_rate"),
            Advice("{} paper for new layers", "initializer"),
            "weights that are trained already",
        )
