"""Whether another assignment of classes fits answers better than the one that they are judged by.

Labels in another order, folders that count from 1, two classes swapped: a network that is right
looks wrong, and wrong in one way. Each class is given the answer that its images get most often, no
answer twice. It is found on half of the images and judged on the other half, and the other way
round: of a network that guesses, it then fits no better than any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.metrics.accuracy import Best, wilson


@dataclass(frozen=True, slots=True)
class OtherOrder:
    """An assignment of answers to classes by which clearly more images are right.

    Attributes:
        hits: Images that are right as they are judged.
        other_hits: Images that would be right, each judged by the images of the other half.
        images: All of them.
        answers: The answer that stands for each class, found on all images.
    """

    hits: int
    other_hits: int
    images: int
    answers: tuple[int, ...]

    @property
    def top1(self) -> float:
        """Share of images that are right as they are judged."""
        return self.hits / self.images

    @property
    def other_top1(self) -> float:
        """Share of images that would be."""
        return self.other_hits / self.images


def find_other_order(
    targets: NDArray[np.integer[Any]], best: Best, classes: int
) -> OtherOrder | None:
    """The other assignment, where its 95 % interval lies above that of the one taken.

    Targets are each image's class, (images,).
    """
    first = best[:, 0]
    rank = np.argsort(np.argsort(targets, kind="stable"), kind="stable")
    halves = rank % 2 == 0, rank % 2 == 1  # every class's images are parted
    other_hits = 0
    for found, judged in (halves, halves[::-1]):
        answers = _assigned(targets[found], first[found], classes)
        other_hits += int((answers[targets[judged]] == first[judged]).sum())
    hits = int((first == targets).sum())
    if wilson(other_hits, len(targets)).low <= wilson(hits, len(targets)).high:
        return None
    answers = _assigned(targets, first, classes)
    return OtherOrder(hits, other_hits, len(targets), tuple(int(a) for a in answers))


def _assigned(
    targets: NDArray[np.integer[Any]], answers: NDArray[np.integer[Any]], classes: int
) -> NDArray[np.intp]:
    """The answer that stands for each class, pairs with the most images first.

    That is the best of all assignments where no two classes have the same commonest answer, and
    otherwise has half of the best one's images at least (greedy matching: D. Avis, "A survey of
    heuristics for the weighted matching problem", Networks 13, 1983). What is left over stands for
    itself where it can.
    """
    counts = np.zeros((classes, classes), np.int64)
    answered = answers >= 0
    np.add.at(counts, (targets[answered], answers[answered]), 1)
    chosen, taken = np.full(classes, -1), np.zeros(classes, bool)
    rows, columns = np.nonzero(counts)
    for place in np.argsort(-counts[rows, columns], kind="stable"):
        row, column = rows[place], columns[place]
        if chosen[row] < 0 and not taken[column]:
            chosen[row], taken[column] = column, True
    for row in np.flatnonzero(chosen < 0):
        if not taken[row]:
            chosen[row], taken[row] = row, True
    chosen[chosen < 0] = np.flatnonzero(~taken)
    return chosen
