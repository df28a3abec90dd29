"""Whether another convention for pixels explains mistakes that look like another class order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.errors import ArtifactError
from vggexport.metrics.accuracy import best_classes, wilson
from vggexport.network.preprocessing import Preprocessing
from vggexport.opening.calibration_images import translated
from vggexport.opening.models import OpenedModel
from vggexport.opening.own_weights import OwnWeights
from vggexport.results.evaluate import EvaluationResult
from vggexport.results.other_pixels import OtherPixels
from vggexport.system.progress import Steps

SCREENED_IMAGES = 12
TRIED_IMAGES = 32
CLOSEST = 3
"""Conventions that are run on all of these: the best, and those that may be as good."""


def with_pixels(
    results: Sequence[EvaluationResult],
    models: Sequence[OpenedModel],
    images: calibration.LabelledImages,
    steps: Steps,
    *,
    seed: int,
) -> tuple[EvaluationResult, ...]:
    """The results with what happens to pixels, and with what should where classes look permuted.

    Args:
        results: One a network.
        models: The networks.
        images: With their classes.
        steps: Who shows how far it is.
        seed: Of the choice of images.
    """
    found = []
    for model, result in zip(models, results, strict=True):
        other = None
        if order := result.other_order:
            with steps.step("conventions"), translated():
                other = _other_pixels(model, images, order.other_top1, steps, seed)
        pixels = model.artifact.preprocessing
        found.append(replace(result, pixels=pixels, other_pixels=other))
    return tuple(found)


def _other_pixels(
    model: OpenedModel,
    images: calibration.LabelledImages,
    other_top1: float,
    steps: Steps,
    seed: int,
) -> OtherPixels | None:
    """The convention with which a network's weights are right far more often than as they are.

    Its 95 % interval lies above that of the convention that the network was made for, and above
    what the other class order gets right.
    """
    made_for = model.artifact.preprocessing
    if made_for is None or model.artifact.foreign:
        return None
    pixels, targets = _some(images, seed)
    with suppress(ArtifactError):  # of weights that a broken file does not let be read
        weights = OwnWeights(model, made_for)
        tried: Sequence[Preprocessing] = weights.conventions
        for count in (SCREENED_IMAGES, TRIED_IMAGES):
            hits = {
                one: _hits(weights.probabilities(pixels[:count], one), targets[:count])
                for one in steps.track(tried, len(tried))
            }
            tried = sorted(tried, key=lambda one: -hits[one])[:CLOSEST]
        best = tried[0]
        interval = wilson(hits[best], len(targets))
        near = [one for one in tried if wilson(hits[one], len(targets)).high >= interval.low]
        if made_for not in near and interval.low > other_top1:
            rivals = tuple(one.words for one in near if one is not best)
            return OtherPixels(made_for, best, hits[best], len(targets), rivals)
    return None


def _hits(probabilities: NDArray[np.float32], targets: NDArray[np.intp]) -> int:
    return int((best_classes(probabilities, 1)[:, 0] == targets).sum())


def _some(
    images: calibration.LabelledImages, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """A few of all classes, and which those are."""
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    read = (
        (image.pixels, images.targets[index])
        for index, image in calibration.read_ahead(images.source, order)
        if isinstance(image, calibration.SourceImage)
    )
    pixels, targets = zip(*islice(read, TRIED_IMAGES), strict=True)
    return np.stack(pixels), np.array(targets)
