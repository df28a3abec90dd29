"""What many images together say of one file: sums, the worst of them, and a sample of logits.

Nothing here grows with the number of images.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.metrics.accuracy import best_classes, class_probabilities
from vggexport.metrics.parity import Comparison, ParityMetrics, decibels, logits_of
from vggexport.network.head import HeadActivation
from vggexport.network.layers import OUTPUT_NAME
from vggexport.results.verify import Guess, ImageParity, LayerParity

WORST_IMAGES = 8
"""Those that a report shows, and that the known mistakes are tried on."""

SCATTERED_IMAGES = 250
SCATTERED_CLASSES = 8
"""Points of the scatter: 2,000, of the best classes and of others spread over all."""

Outputs = Mapping[str, NDArray[np.float32]]
"""By layer; float32, images first."""


class RunningParity:
    """One candidate against the reference, image by image."""

    def __init__(
        self,
        layers: Sequence[str],
        labels: Sequence[str] = (),
        activation: HeadActivation = HeadActivation.SOFTMAX,
    ) -> None:
        self._comparison = Comparison(activation)
        self._layers = {name: LayerSums() for name in layers}
        self._worst = _WorstImages(labels)
        self._scatter = _LogitScatter(activation)
        self.seen = self.layer_images = 0

    def add(
        self, images: Sequence[calibration.SourceImage], expected: Outputs, actual: Outputs
    ) -> None:
        """Takes in one more batch, which both ran, with all layers or the output alone."""
        probabilities = expected[OUTPUT_NAME], actual[OUTPUT_NAME]
        by_image = self._comparison.add(*probabilities)
        self._worst.add(images, by_image, *probabilities)
        self._scatter.add(*probabilities)
        if self._layers.keys() <= expected.keys():
            self.layer_images += len(images) if self._layers else 0
            for name, sums in self._layers.items():
                sums.add(expected[name], actual[name])

    def metrics(self) -> ParityMetrics:
        """Of all images together."""
        return self._comparison.metrics()

    def layers(self) -> tuple[LayerParity, ...]:
        """Of all images together, in the order asked for."""
        return tuple(sums.parity(name) for name, sums in self._layers.items())

    def worst(self) -> tuple[ImageParity, ...]:
        """Worst first."""
        return self._worst.images()

    def scatter(self) -> NDArray[np.float32]:
        """(points, 2): logits, of a softmax centred, of the reference and of the candidate."""
        return self._scatter.points()


class LayerSums:
    """Sums over all images of one layer's values and errors."""

    def __init__(self) -> None:
        self._signal = self._noise = self._max_abs = 0.0

    def add(self, expected: NDArray[np.float32], actual: NDArray[np.float32]) -> None:
        """Takes in the layer's outputs for some images."""
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.subtract(actual, expected, dtype=np.float64)
            self._signal += float(np.vdot(expected, expected))
            self._noise += float(np.vdot(error, error))
        self._max_abs = float(np.maximum(self._max_abs, np.abs(error).max()))  # keeps a NaN

    def parity(self, name: str) -> LayerParity:
        """Of all images together."""
        return LayerParity(name, decibels(self._signal, self._noise), self._max_abs)


class _WorstImages:
    """The images whose logits are furthest off for their size."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._numbers = count()
        self._heap: list[tuple[float, int, ImageParity]] = []

    def add(
        self,
        images: Sequence[calibration.SourceImage],
        sqnr_db: NDArray[np.float64],
        expected: NDArray[np.float32],
        actual: NDArray[np.float32],
    ) -> None:
        for image, decibel, mine, theirs in zip(images, sqnr_db, expected, actual, strict=True):
            value = float(decibel)
            found = ImageParity(
                image.label, value, self._guess(mine), self._guess(theirs), image.pixels
            )
            entry = (-value, -next(self._numbers), found)  # of equals the first is kept
            push = heapq.heappush if len(self._heap) < WORST_IMAGES else heapq.heappushpop
            push(self._heap, entry)

    def images(self) -> tuple[ImageParity, ...]:
        return tuple(entry[-1] for entry in sorted(self._heap, reverse=True))

    def _guess(self, probabilities: NDArray[np.float32]) -> Guess:
        index = int(best_classes(probabilities[None])[0, 0])
        probability = float(class_probabilities(probabilities[None])[0, index])
        return Guess.named(index, self._labels, probability)


class _LogitScatter:
    """Logits of the first images and, as more come, of a random sample of all of them."""

    def __init__(self, activation: HeadActivation) -> None:
        self._activation = activation
        self._random = np.random.default_rng(0)
        self._images = 0
        self._rows: list[NDArray[np.float32]] = []

    def add(self, expected: NDArray[np.float32], actual: NDArray[np.float32]) -> None:
        logits = (
            logits_of(probabilities, self._activation) for probabilities in (expected, actual)
        )
        for mine, theirs in zip(*logits, strict=True):
            self._images += 1
            row = int(self._random.integers(self._images))  # Vitter's algorithm R
            if len(self._rows) < SCATTERED_IMAGES:
                self._rows.append(_spread(mine, theirs))
            elif row < SCATTERED_IMAGES:
                self._rows[row] = _spread(mine, theirs)

    def points(self) -> NDArray[np.float32]:
        return np.concatenate(self._rows) if self._rows else np.empty((0, 2), np.float32)


def _spread(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> NDArray[np.float32]:
    """One image's points: half of them its best classes, the others in even steps of rank."""
    order = np.argsort(-expected)
    few = min(SCATTERED_CLASSES, len(order))
    best = np.arange(few // 2)
    others = np.linspace(few // 2, len(order) - 1, few - few // 2).astype(int)
    chosen = order[np.concatenate([best, others])]
    points = np.stack([expected[chosen], actual[chosen]], axis=1)
    finite: NDArray[np.bool_] = np.isfinite(points).all(axis=1)
    return np.asarray(points[finite], np.float32)
