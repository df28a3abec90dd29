"""What two runs choose: how often the same class, and what one of them never says.

An energy ratio over all probabilities hides a class that is never given, and an answer that is the
same for all images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vggexport.metrics.accuracy import CLASS_IMAGES, class_probabilities
from vggexport.network.head import HeadActivation

NEARLY_EQUAL = 0.02
"""Between classes whose probabilities are no further apart there is no choice: int8 files that are
healthy move probabilities by more than that."""

CONSTANT = 1e-3
"""Power of what answers vary by from image to image, as a share of what the reference's do, below
which they do not depend on the image."""

IMPROBABLE = 0.025
"""Probability below which so few agreeing images are no chance: one side of a 95 % interval."""

_VARIES = 1e-4
"""Share of the power of its answers that a reference's variation has, until it counts as one."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a candidate chooses, held to the reference.

    Attributes:
        images: Number of images.
        agreeing: Of them those with the same best class, or one that the reference has nearly as
            high; of independent outputs, the share of outputs, summed.
        lost_classes: Indices of classes that the reference gives on :data:`.CLASS_IMAGES` images or
            more, clearly, and the candidate never.
        is_constant: Whether its answers do not depend on the image, where the reference's do.
    """

    images: int
    agreeing: float
    lost_classes: tuple[int, ...]
    is_constant: bool

    @property
    def hits(self) -> int:
        """Images that agree, in whole ones."""
        return math.floor(self.agreeing)

    def is_surely_below(self, least: float) -> bool:
        """Whether a file that agrees on that share would agree on so few in 2.5 % of samples.

        The exact binomial tail (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934). The ends of
        Wilson's interval are not exact for few images: that of 9 in 11 lies below 95 %, which
        agreeing files of that share come to in one sample of ten.

        Args:
            least: 0 to 1, without the ends.
        """
        hits = np.arange(self.hits + 1)
        ways = np.log((self.images - hits[:-1]) / hits[1:]).cumsum()
        logs = np.append(0.0, ways) + hits * math.log(least)
        logs += (self.images - hits) * math.log1p(-least)
        return float(np.exp(logs).sum()) < IMPROBABLE


class RunningChoices:
    """The choices of two runs, batch by batch."""

    def __init__(self, activation: HeadActivation) -> None:
        self._is_one_of_all = activation is HeadActivation.SOFTMAX
        self._images = 0
        self._agreeing = 0.0
        self._missed: NDArray[np.int64] = np.zeros(1, np.int64)
        self._given: NDArray[np.bool_] = np.zeros(1, np.bool_)
        self._first: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._power = self._varies = self._candidate_varies = 0.0

    def add(self, expected: NDArray[np.float64], actual: NDArray[np.float64]) -> None:
        """Takes in one more batch.

        Args:
            expected: The reference's probabilities, (images, outputs).
            actual: The candidate's.
        """
        if not len(expected):
            return
        self._images += len(expected)
        if self._first is None:
            self._first = expected[0], actual[0]
        self._power += float(np.sum(expected**2))
        self._varies += float(np.sum((expected - self._first[0]) ** 2))
        self._candidate_varies += float(np.sum((actual - self._first[1]) ** 2))
        if self._is_one_of_all or expected.shape[1] == 1:
            self._add_best(class_probabilities(expected), class_probabilities(actual))
        else:
            self._add_sides(expected, actual)

    def choices(self) -> Choices:
        """Of all batches together."""
        lost = np.flatnonzero((self._missed >= CLASS_IMAGES) & ~self._given)
        varies = self._varies > _VARIES * self._power
        is_constant = varies and self._candidate_varies < CONSTANT * self._varies
        return Choices(self._images, self._agreeing, tuple(lost.tolist()), is_constant)

    def _add_best(self, expected: NDArray[np.float64], actual: NDArray[np.float64]) -> None:
        rows, classes = np.arange(len(expected)), expected.shape[1]
        best, chosen = expected.argmax(1), actual.argmax(1)
        is_clear = expected[rows, best] - expected[rows, chosen] > NEARLY_EQUAL
        self._agreeing += float(np.sum(~is_clear))
        self._missed = self._missed + np.bincount(best[is_clear], minlength=classes)
        self._given = self._given | (np.bincount(chosen, minlength=classes) > 0)

    def _add_sides(self, expected: NDArray[np.float64], actual: NDArray[np.float64]) -> None:
        """Independent outputs, each of which is above a half or not."""
        half = 0.5
        is_clear = ((expected > half) != (actual > half)) & (abs(expected - half) > NEARLY_EQUAL)
        self._agreeing += float(np.sum(1 - is_clear.mean(axis=1)))
        self._missed = self._missed + (is_clear & (expected > half)).sum(axis=0)
        self._given = self._given | (actual > half).any(axis=0)
