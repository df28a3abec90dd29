"""Accuracy on labelled images: counts, their confidence intervals, and paired tests.

Works on each image's best classes, an integer array, whatever computed them: 20 bytes an image, so
that counts of many machines are put together image by image and none is counted twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.metrics.verdict import Verdict

TOP_K = 5
NO_ANSWER = -1
"""In place of a class where the probabilities are not finite: it is never right."""

CLASS_IMAGES = 8
"""Images that a reference gives a class until a class that another network never gives is lost."""

_Z_95 = 1.959963984540054
"""Quantile 0.975 of the normal distribution."""

Best = NDArray[np.int32]
"""(images, k): classes of each image, best first."""


def class_probabilities(probabilities: NDArray[Any]) -> NDArray[Any]:
    """A probability for each class, where one output p has two classes: 1 - p and p.

    Args:
        probabilities: float (images, outputs).
    """
    one_output = probabilities.shape[1] == 1
    return np.hstack([1 - probabilities, probabilities]) if one_output else probabilities


def best_classes(probabilities: NDArray[Any], count: int = TOP_K) -> Best:
    """Each image's best classes, the lower index first where two are equal.

    Args:
        probabilities: float (images, outputs). One output has two classes: 1 from 0.5 on, else 0.
        count: How many; fewer where there are fewer classes.

    Returns:
        int32 (images, min(count, classes)); :data:`NO_ANSWER` where a probability is not finite.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count].astype(np.int32)
    if probabilities.shape[1] == 1:
        second = (probabilities >= 0.5).astype(np.int32)  # noqa: PLR2004
        order = np.hstack([second, 1 - second])[:, :count]
    order[~np.isfinite(probabilities).all(axis=1)] = NO_ANSWER
    return order


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float

    @property
    def ends(self) -> tuple[float, float]:
        """Both of them."""
        return self.low, self.high


def wilson(hits: float, images: float) -> Interval:
    """The score interval of a share, 95 %.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22
    (1927); Newcombe, Statistics in Medicine 17 (1998), method 3.

    Raises:
        ValueError: There are no images, or more hits than images.
    """
    if not 0 <= hits <= images or images == 0:
        raise ValueError(f"{hits} hits on {images} images")
    share, z2 = hits / images, _Z_95**2
    centre = share + z2 / (2 * images)
    reach = _Z_95 * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2))
    scale = 1 + z2 / images
    return Interval(max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale))


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p-value of the exact McNemar test: are two networks equally often right?

    Of the images that exactly one of them gets right, each falls to either with probability 1/2
    if they are: twice the smaller binomial tail, at most 1. Q. McNemar, Psychometrika 12 (1947);
    exact: Fay, "Two-sided exact tests and matching confidence intervals", The R Journal 2 (2010).
    """
    images, fewer = only_first + only_second, min(only_first, only_second)
    term = tail = 1  # of 2**images cases; whole numbers, so that nothing is rounded
    for k in range(fewer):
        term = term * (images - k) // (k + 1)
        tail += term
    return min(1.0, float(2 * tail / 2**images))


def drop_interval(only_first: float, only_second: float, images: float) -> Interval:
    """How much less often the second is right than the first, 95 %.

    The Wald interval of a paired difference with half an image added to each of the four cells:
    A. Agresti and Y. Min, Statistics in Medicine 24 (2005), "Wald+2".
    """
    first, second, total = only_first + 0.5, only_second + 0.5, images + 2
    drop = (first - second) / total
    variance = (first + second) / total - drop**2
    reach = _Z_95 * math.sqrt(variance / total)
    return Interval(max(-1.0, drop - reach), min(1.0, drop + reach))


@dataclass(frozen=True, slots=True, eq=False)
class Accuracy:
    """How often one network is right.

    Attributes:
        confusion: int64 (classes, classes + 1): images by their class and the answer; the last
            column holds those without an answer.
        top5_hits: int64 (classes,): images whose class is among the five best, by class.
    """

    confusion: NDArray[np.int64]
    top5_hits: NDArray[np.int64]

    @classmethod
    def of(cls, targets: NDArray[np.integer[Any]], best: Best, classes: int) -> Accuracy:
        """Counts answers to the targets, (images,), each image's class.

        Raises:
            ValueError: Not as many targets as answers.
        """
        if len(targets) != len(best):
            raise ValueError(f"{len(targets)} targets for {len(best)} answers")
        confusion = np.zeros((classes, classes + 1), np.int64)
        np.add.at(confusion, (targets, best[:, 0]), 1)  # NO_ANSWER is the last column
        hits = (best == np.asarray(targets)[:, None]).any(axis=1)
        return cls(confusion, np.bincount(targets[hits], minlength=classes))

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.confusion.sum())

    @property
    def unanswered(self) -> int:
        """Images whose probabilities are not finite."""
        return int(self.confusion[:, -1].sum())

    @property
    def top1_hits(self) -> int:
        """Images whose best class is theirs."""
        return int(self.confusion.diagonal().sum())

    @property
    def top1(self) -> float:
        """Share of those."""
        return self.top1_hits / self.images

    @property
    def top5(self) -> float:
        """Share of images whose class is among the five best."""
        return int(self.top5_hits.sum()) / self.images

    @property
    def top1_interval(self) -> Interval:
        """Of the top-1 share."""
        return wilson(self.top1_hits, self.images)

    @property
    def top5_interval(self) -> Interval:
        """Of the top-5 share."""
        return wilson(int(self.top5_hits.sum()), self.images)

    def class_images(self, index: int) -> int:
        """Images of one class."""
        return int(self.confusion[index].sum())

    def class_hits(self, index: int) -> int:
        """Images of one class whose best class it is."""
        return int(self.confusion[index, index])

    def answered(self, index: int) -> int:
        """Images of any class for which this one is the answer."""
        return int(self.confusion[:, index].sum())

    def confused(self, count: int) -> tuple[tuple[int, int, int], ...]:
        """The commonest mistakes: (class, answer, images), the most frequent first."""
        mistakes = self.confusion[:, :-1].copy()
        np.fill_diagonal(mistakes, 0)
        order = np.argsort(-mistakes, axis=None, kind="stable")[:count]
        places = [divmod(int(place), mistakes.shape[1]) for place in order]
        return tuple((i, j, int(mistakes[i, j])) for i, j in places if mistakes[i, j])


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """Two networks on the same images.

    Attributes:
        images: Number of images.
        same: Images with the same best class.
        only_first: Images that only the first gets right.
        only_second: Images that only the second gets right.
        lost_classes: Indices of classes that the first gives rightly on :data:`CLASS_IMAGES`
            images or more, and the second to none.
    """

    images: int
    same: int
    only_first: int
    only_second: int
    lost_classes: tuple[int, ...] = ()

    @classmethod
    def of(cls, targets: NDArray[np.integer[Any]], first: Best, second: Best) -> PairedCounts:
        """Counts the answers of both."""
        right, other = first[:, 0] == targets, second[:, 0] == targets
        same = (first[:, 0] == second[:, 0]) & (first[:, 0] != NO_ANSWER)
        masks = same, right & ~other, other & ~right
        found, times = np.unique(targets[right], return_counts=True)
        lost = np.setdiff1d(found[times >= CLASS_IMAGES], second[:, 0])
        same_class, only_first, only_second = (int(mask.sum()) for mask in masks)
        return cls(len(targets), same_class, only_first, only_second, tuple(lost.tolist()))

    @property
    def agreement(self) -> float:
        """Share of images with the same best class."""
        return self.same / self.images

    @property
    def drop(self) -> float:
        """Top-1 share of the first less that of the second."""
        return (self.only_first - self.only_second) / self.images

    @property
    def drop_interval(self) -> Interval:
        """Of the drop."""
        return drop_interval(self.only_first, self.only_second, self.images)

    @property
    def p_value(self) -> float:
        """Of the exact McNemar test."""
        return mcnemar(self.only_first, self.only_second)


def judge_at_least(interval: Interval, limit: float) -> Verdict:
    """Whether a share is at least ``limit``, as far as its interval tells."""
    if interval.low >= limit:
        return Verdict.PASS
    return Verdict.FAIL if interval.high < limit else Verdict.INCONCLUSIVE


def judge_at_most(interval: Interval, limit: float) -> Verdict:
    """Whether a drop is at most ``limit``, as far as its interval tells."""
    if interval.high <= limit:
        return Verdict.PASS
    return Verdict.FAIL if interval.low > limit else Verdict.INCONCLUSIVE
