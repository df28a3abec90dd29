"""Whether a network's weights are right clearly more often under another convention for pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.errors import Advice, ArtifactError
from vggexport.formats.registry import command_for
from vggexport.metrics.accuracy import Best, PairedCounts, best_classes
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing
from vggexport.opening.calibration_images import translated
from vggexport.opening.labelled_images import some_images
from vggexport.opening.models import OpenedModel
from vggexport.opening.own_weights import OwnWeights
from vggexport.results.evaluate import EvaluationResult
from vggexport.results.other_pixels import OtherPixels
from vggexport.system.progress import Steps

TRIED_IMAGES = 32
MORE_IMAGES = 128
"""Where an image takes at most :data:`CHEAP_MACS`: about 5 s a network in all."""

CHEAP_MACS = 10**8
CLOSEST = 3
"""Conventions that are run on all of these, after all were on a third: the best."""

SIGNIFICANT = 0.01
"""Below which the p-value of two conventions tells them apart."""

LEAST_MISTAKES = 8
"""Fewer that another convention undoes are not significant, even if it makes none: 2 / 2**7."""


def with_pixels(
    results: Sequence[EvaluationResult],
    models: Sequence[OpenedModel],
    images: calibration.LabelledImages,
    steps: Steps,
    *,
    seed: int,
) -> tuple[EvaluationResult, ...]:
    """The results with what happens to pixels, and what should where mistakes leave it open."""
    found = []
    for model, result in zip(models, results, strict=True):
        other = None
        count = MORE_IMAGES if _is_cheap(model) else TRIED_IMAGES
        if _is_open(model, result, count):
            with steps.step("conventions"), translated():
                other = _other_pixels(model, images, result, steps, (count, seed))
        pixels = model.artifact.preprocessing
        found.append(replace(result, pixels=pixels, other_pixels=other))
    return tuple(found)


def other_export(other: OtherPixels, file_format: str) -> Iterator[str | Advice]:
    """How to make the file again, and what decides where labels do not."""
    one, command = other.preprocessing, command_for(file_format)
    if other.rivals:
        yield Advice(
            "export it again with {} and the one of them that its training used",
            "preprocessing",
            command=command,
        )
        yield Advice(
            "compare with answers of the training's own program by {}", "answers", command="verify"
        )
    elif CONVENTIONS.get(one.name) == one:
        yield Advice(f"export it again with {{}} {one.name}", "preprocessing", command=command)
    else:
        mean, std = one.numbers
        yield Advice(
            f"export it again with {{}} {mean} {{}} {std} {{}} {one.channel_order}",
            "pixel_mean",
            "pixel_std",
            "channel_order",
            command=command,
        )


def _is_cheap(model: OpenedModel) -> bool:
    return (model.artifact.macs or 0) <= CHEAP_MACS


def _is_open(model: OpenedModel, result: EvaluationResult, count: int) -> bool:
    """Whether trying could tell something, and may take the time that it does.

    What was stated or read is doubted where classes look permuted, or where it costs little.
    """
    artifact, pixels = model.artifact, model.artifact.preprocessing
    if pixels is None or artifact.foreign or not artifact.weights.trained:
        return False
    mistakes = (1 - result.accuracy.top1) * min(count, result.accuracy.images)
    is_doubted = not pixels.known or result.other_order is not None or _is_cheap(model)
    return is_doubted and mistakes >= LEAST_MISTAKES


def _other_pixels(
    model: OpenedModel,
    images: calibration.LabelledImages,
    result: EvaluationResult,
    steps: Steps,
    sample: tuple[int, int],
) -> OtherPixels | None:
    """The convention with which a network's weights are right more often than as they are.

    That is significant in the paired test, and as often as what another class order gets right.
    """
    made_for = model.artifact.preprocessing
    if made_for is None:
        return None
    count, seed = sample
    pixels, targets = some_images(images, count, seed=seed)
    with suppress(ArtifactError):  # of weights that a broken file does not let be read
        answers = _answers(OwnWeights(model, made_for), pixels, targets, made_for, steps)
        hits = {one: int((best[:, 0] == targets).sum()) for one, best in answers.items()}
        best = max(hits, key=lambda one: hits[one])
        apart = {
            one: PairedCounts.of(targets, answers[one], answers[best]).p_value < SIGNIFICANT
            for one in hits
        }
        order = result.other_order
        if apart[made_for] and hits[best] >= (order.other_top1 if order else 0) * len(targets):
            rivals = tuple(one.words for one in hits if one != best and not apart[one])
            counts = hits[best], len(targets), hits[made_for]
            return OtherPixels(made_for, best, *counts, rivals)
    return None


def _answers(
    weights: OwnWeights,
    pixels: NDArray[np.uint8],
    targets: NDArray[np.int32],
    made_for: Preprocessing,
    steps: Steps,
) -> dict[Preprocessing, Best]:
    """Best classes of all images under the conventions that are best on a third, and its own."""
    part = -(-len(pixels) // 3)
    found = {
        one: best_classes(weights.probabilities(pixels[:part], one), 1)
        for one in steps.track(weights.conventions, len(weights.conventions))
    }
    order = sorted(found, key=lambda one: -int((found[one][:, 0] == targets[:part]).sum()))
    chosen = dict.fromkeys((*order[:CLOSEST], made_for))
    if part == len(pixels):
        return {one: found[one] for one in chosen}
    return {
        one: np.vstack([found[one], best_classes(weights.probabilities(pixels[part:], one), 1)])
        for one in steps.track(chosen, len(chosen))
    }
