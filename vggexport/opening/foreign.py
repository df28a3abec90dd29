"""What files of other converters want done to pixels, found out against a network that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.errors import Advice, InputError
from vggexport.metrics.parity import ParityMetrics, compare
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.preprocessing import BGR, CONVENTIONS, Preprocessing
from vggexport.opening.file_check import tolerance_between
from vggexport.opening.models import OpenedModel, with_preprocessing
from vggexport.opening.preprocessed import PreprocessedRunner, preprocessed
from vggexport.opening.stated_preprocessing import can_be_done
from vggexport.results.verify import FoundPreprocessing
from vggexport.system.progress import Steps

TRIED_IMAGES = 8
"""On which conventions are tried: ten runs of a file on each."""

APART_DB = 3.0
"""By how much the best is nearer than the next, half of the error's energy: otherwise a grey
picture decides between RGB and BGR, or a sure answer between two that differ by their scale."""

LABELS_DECIDE = Advice(
    "see which one the labels speak for, naming it alone with {}", "try_preprocessing"
)

TRIED: tuple[Preprocessing, ...] = (
    *CONVENTIONS.values(),
    *(
        replace(convention, channel_order=BGR)
        for convention in CONVENTIONS.values()
        if convention.name not in {"vgg", "caffe"}  # each is the other in BGR
    ),
)
"""Every convention in both orders of the channels."""


def is_unknown(model: OpenedModel) -> bool:
    """Whether nothing says what a model wants done to pixels."""
    return bool(model.artifact.foreign) and model.artifact.preprocessing is None


def find_preprocessing(
    models: Sequence[OpenedModel],
    images: Callable[[], NDArray[np.uint8]],
    steps: Steps,
    *,
    must_fit: bool = False,
) -> list[OpenedModel]:
    """The models, those of other converters under the convention that fits best.

    They are held to the most exact of those that are known: the first would do less the coarser it
    is.

    Args:
        models: They are to give the same answers.
        images: Gives a few, uint8 (images, height, width, 3).
        steps: Who says what was found.
        must_fit: Refuse a file that no convention fits, rather than leave it to the caller.

    Raises:
        InputError: There is nothing to hold them to, two conventions fit alike, or ``must_fit``
            refuses a file.
    """
    if not any(map(is_unknown, models)):
        return list(models)
    held_to = [model for model in models if not (is_unknown(model) and model.computes)]
    if not held_to:
        raise unstated(models[0].path, "there is no known network here to compare it with")
    known = min(held_to, key=lambda model: model.artifact.profile.coarseness)
    pixels = images()
    with steps.step("preprocessing"):
        expected = known.answers(pixels)
        found = [
            with_preprocessing(model, *_tried(model, known.artifact, pixels, expected))
            if is_unknown(model) and model not in held_to
            else model
            for model in models
        ]
    for model in found:
        _tell(model, steps, must_fit=must_fit)
    return found


def note_misstated(
    reference: OpenedModel, model: OpenedModel, pixels: NDArray[np.uint8], steps: Steps
) -> None:
    """Says so where a file fits under another convention than the one that was stated of it.

    A known mistake may explain the same, as a division by 255 that is missing in front of the file.
    """
    if not isinstance(model.runner, PreprocessedRunner) or model.found:
        return
    plain = replace(model, runner=model.runner.inner)
    best, found = _tried(plain, reference.artifact, pixels, reference.answers(pixels))
    if found.fits:
        told = f"its preprocessing was misstated: {_said(best, found)}"
        steps.progress.note(f"{model.path}: {told}", _stating(model.path, best))


def _tell(model: OpenedModel, steps: Steps, *, must_fit: bool) -> None:
    """Says what was found of a file, and how far the next is from it."""
    best, found = model.artifact.preprocessing, model.found
    if best is None or found is None:
        return
    told, choices = f"{model.path}: {_said(best, found)}", _choices(model.path)
    is_apart = found.sqnr_db - found.next_sqnr_db >= APART_DB  # NaN, of two infinite ones, is not
    if found.fits and not is_apart:
        raise InputError(
            f"{model.path}: these images do not decide its preprocessing: {best.words} has "
            f"{found.sqnr_db:.1f} dB and {found.next} {found.next_sqnr_db:.1f} dB",
            choices,
        )
    if must_fit and not found.fits:
        raise InputError(told, choices, LABELS_DECIDE)
    steps.progress.note(told, _stating(model.path, best) if found.fits else choices)


def _tried(
    model: OpenedModel,
    reference: Artifact,
    pixels: NDArray[np.uint8],
    expected: NDArray[np.float32],
) -> tuple[Preprocessing, FoundPreprocessing]:
    """The convention that comes nearest, and how near it and the next come."""
    tolerance = tolerance_between(reference, model.artifact)
    tried = [convention for convention in TRIED if can_be_done(convention, model.artifact)]
    metrics = [
        compare(
            expected,
            model.answers(preprocessed(pixels, convention)),
            reference.spec.head_activation,
        )
        for convention in tried
    ]
    figures = [_figure(found, tolerance) for found in metrics]
    best, second = np.argsort(-np.nan_to_num(figures, nan=-np.inf), kind="stable")[:2]
    found = FoundPreprocessing(
        tried[best].name,
        tried[best].channel_order,
        not tolerance.violations(metrics[best]),
        figures[best],
        tried[second].words,
        figures[second],
    )
    return tried[best], found


def _stating(path: str, best: Preprocessing) -> Advice:
    return Advice(f"state it, as with {{}} {path}={stated_as(best)}", "preprocessing_of")


def _choices(path: str) -> Advice:
    """What can be stated of a file of which nothing says it."""
    named = ", ".join(CONVENTIONS)
    return Advice(
        f"state it with {{}} {path}=CONVENTION, one of {named}, with ;bgr or ;rgb for another "
        "order of the channels",
        "preprocessing_of",
    )


def stated_as(preprocessing: Preprocessing) -> str:
    """As the option takes it."""
    usual = CONVENTIONS[preprocessing.name].channel_order
    order = preprocessing.channel_order
    return preprocessing.name if order == usual else f"{preprocessing.name};{order}"


def _said(best: Preprocessing, found: FoundPreprocessing) -> str:
    figures = f"{found.sqnr_db:.1f} dB, next {found.next} with {found.next_sqnr_db:.1f} dB"
    if found.fits:
        return f"preprocessing found: {best.words} fits with {figures}"
    return f"no preprocessing fits; {best.words} comes nearest with {figures}"


def _figure(metrics: ParityMetrics, tolerance: Tolerance) -> float:
    """What the tolerance is about, in dB: of a quantized softmax no logits can be told."""
    by_logits = tolerance.min_logit_sqnr_db is not None
    return metrics.logit_sqnr_db if by_logits else metrics.sqnr_db


def unstated(path: str, reason: str) -> InputError:
    """The refusal of a file of which nothing says what it wants done to pixels."""
    return InputError(
        f"{path} was not made by vggexport and does not say what happens to pixels in front of it, "
        f"and {reason}",
        _choices(path),
        LABELS_DECIDE,
    )
