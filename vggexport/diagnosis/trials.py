"""Why a file is off: the known mistakes, tried one after the other on a few images.

Each trial makes up for one mistake and measures again, and is held to the file as it is. Kinds are
tried from the outside inwards, the output, the images, the layers and their weights; those of the
first kind that explains the difference are the last. Of the trials of a kind the best alone
explains it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.diagnosis.case import CLEAR_GAIN_DB, LOSSY_GAIN_DB, Case
from vggexport.diagnosis.images import (
    PAIRED,
    ImageFault,
    image_fault_pairs,
    image_faults,
    scaling_faults,
)
from vggexport.diagnosis.layers import SAME_INTEGERS_OWN_NOISE, first_suspicious
from vggexport.diagnosis.outputs import output_faults
from vggexport.diagnosis.preprocessing_trials import preprocessing_trials
from vggexport.diagnosis.running_parity import LayerSums
from vggexport.diagnosis.weights import is_recoloured
from vggexport.diagnosis.weights_trials import weights_trials
from vggexport.errors import ArtifactError
from vggexport.metrics.parity import ParityMetrics, sqnr_db
from vggexport.metrics.tolerance import LayerSqnr, Tolerance
from vggexport.opening.file_check import same_integers
from vggexport.opening.models import OpenedModel, shared_layers
from vggexport.precision import Profile, coarser
from vggexport.results.diagnosis import Diagnosis, SuspiciousLayer, Trial
from vggexport.results.verify import LayerParity
from vggexport.system.progress import Steps

SCREENED_IMAGES = 2
IMITATED_MARGIN_DB = 1.0
"""By how much nearer than any other an imitated mistake must come."""

SCREENED_GAIN_DB = 1.0
"""Less than what a mistake that explains a difference gains on all images."""


def diagnose(
    reference: OpenedModel,
    candidate: OpenedModel,
    images: NDArray[np.uint8],
    tolerance: Tolerance,
    together: ParityMetrics,
    steps: Steps,
) -> Diagnosis:
    """Tries every known mistake on a few images, the file's worst: uint8 (images, size, size, 3).

    The tolerance is what healthy files of its precision reach, whatever the file had to, and
    ``together`` what all images of the verification give.
    """
    expected, actual = (model.answers(images) for model in (reference, candidate))
    case = Case(reference, candidate, images, tolerance, together, expected, actual)
    trials: list[Trial] = []
    kinds = (
        _best_alone(_tried_outputs(case)),
        preprocessing_trials(case),
        _best_alone(_try_images(case, _image_faults(case), steps)),
        _scaled_trials(case),
        _imitated_trials(case, steps),
    )
    for kind in kinds:  # nothing of one is tried before its turn
        trials.extend(kind)
        if any(trial.explains for trial in trials):
            return Diagnosis(tuple(trials), len(images))
    if not reference.computes:
        return Diagnosis(tuple(trials), len(images))
    with suppress(ArtifactError):  # of weights that a broken file does not let be read
        trials.extend(weights_trials(case))
    suspicious = None
    with suppress(ArtifactError):  # of layers that it does not
        curve = _layer_curve(case)
        suspicious = point_out(reference.artifact, candidate.artifact, curve)
        if suspicious:
            trials.append(_layer_trial(case, suspicious, curve))
    return Diagnosis(tuple(trials), len(images), suspicious)


def _best_alone(trials: Iterable[Trial], margin_db: float = 0.0) -> Iterator[Trial]:
    """The trials of one kind, of which only the nearest, by a margin, may explain the file."""
    tried = list(trials)
    explaining = sorted((t for t in tried if t.explains), key=_rank_db, reverse=True)
    second = _rank_db(explaining[1]) if len(explaining) > 1 else -math.inf
    for trial in tried:
        is_best = trial in explaining[:1] and _rank_db(trial) >= second + margin_db
        yield replace(trial, explains=is_best)


def _rank_db(trial: Trial) -> float:
    """How near the file comes; two mistakes must come clearly nearer than one of them alone."""
    return trial.with_db - (CLEAR_GAIN_DB if PAIRED in trial.fault else 0.0)


def point_out(
    reference: Artifact, candidate: Artifact, layers: Sequence[LayerParity]
) -> SuspiciousLayer | None:
    """The first layer that falls by more than what is in front of it and rounding explain."""
    if not layers:
        return None
    curve = [layer.sqnr_db for layer in layers]
    names = {layer.name for layer in layers}
    walked = [layer for layer in reference.spec.layers if layer.name in names]
    found = first_suspicious(walked, curve, _own_noise(reference, candidate))
    if found is None:
        return None
    index, least = found
    return SuspiciousLayer(layers[index].name, curve[index], least)


def _own_noise(reference: Artifact, candidate: Artifact) -> LayerSqnr:
    if same_integers(reference, candidate):
        return SAME_INTEGERS_OWN_NOISE
    return _coarser(reference, candidate).own_noise


def _coarser(reference: Artifact, candidate: Artifact) -> Profile:
    """The coarser precision: weights and layers are the same without float operators."""
    return coarser(reference.precision.profile, candidate.precision.profile)


def _tried_outputs(case: Case) -> Iterator[Trial]:
    for fault in output_faults(case.activation):
        if case.candidate.artifact.full_integer and fault.name == f"{case.activation}-quantized":
            continue
        if made_up := fault.make_up(case.expected, case.actual):
            least_gain_db = LOSSY_GAIN_DB if fault.is_fitted else CLEAR_GAIN_DB
            yield case.output_trial(fault, *made_up, least_gain_db=least_gain_db)


def _scaled_trials(case: Case) -> Iterator[Trial]:
    """The mistake for which the first kernel of an integer file was scaled.

    With ranges taken with the mistake, all that is fed comes out as black and white: of mistakes
    that do this the answers do not tell which it was, but the kernel does.
    """
    if not (case.reference.computes and case.candidate.artifact.profile.needs_ranges):
        return
    spec = case.reference.artifact.spec
    profile = _coarser(case.reference.artifact, case.candidate.artifact)
    with suppress(ArtifactError):  # of weights that a broken file does not let be read
        weights = case.reference.weights(), case.candidate.weights()
        for fault in scaling_faults():
            matches = is_recoloured(spec, *weights, fault.colour_matrix(), profile)
            if matches and (trial := _try_image_fault(case, fault, imitates=True)):
                explains = trial.gain_db >= LOSSY_GAIN_DB
                yield replace(trial, explains=explains, layer=spec.weighted_layers[0].name)


def _imitated_trials(case: Case, steps: Steps) -> Iterator[Trial]:
    """What an integer file gives, held to the reference with mistaken images.

    A file whose ranges were taken with the mistake rounds away what it is given without. Images of
    few values look alike to the network, so that one mistake must stand out from the others.
    """
    if not case.candidate.artifact.profile.needs_ranges:
        return iter(())
    faults = [fault for fault in _image_faults(case) if fault.undo]
    return _best_alone(_try_images(case, faults, steps, imitates=True), IMITATED_MARGIN_DB)


def _image_faults(case: Case) -> tuple[ImageFault, ...]:
    file, reference = case.candidate.artifact, case.reference.artifact
    mean = (reference if file.foreign else file).spec.mean_rgb  # answers alone do not know it
    return (*image_faults(mean), *image_fault_pairs(mean))


def _try_images(
    case: Case, faults: Sequence[ImageFault], steps: Steps, *, imitates: bool = False
) -> Iterator[Trial]:
    """Tries each on two images, and those that gain something there on all of them.

    What turns rectangles into others cannot have happened: the network would not have run.
    """
    screen = case.first(SCREENED_IMAGES)
    shape = screen.images.shape
    faults = [fault for fault in faults if fault.imitate(screen.images).shape == shape]
    for fault in steps.track(faults, len(faults)):
        trial = _try_image_fault(screen, fault, imitates=imitates)
        if trial and trial.gain_db >= SCREENED_GAIN_DB:
            trial = _try_image_fault(case, fault, imitates=imitates)
        if trial:
            yield trial


def _try_image_fault(case: Case, fault: ImageFault, *, imitates: bool) -> Trial | None:
    """The trial of one mistake; None where neither of the two can be given such images.

    Nothing in front of a file makes up for what only the reference can imitate.
    """
    if fault.undo and _takes(case.candidate, fault) and not imitates:
        actual = case.candidate.answers(fault.undo(_as_fed(case.images, fault)))
        return case.output_trial(fault, case.expected, actual)
    if case.reference.computes and _takes(case.reference, fault):
        expected = case.reference.answers(fault.imitate(_as_fed(case.images, fault)))
        return case.output_trial(replace(fault, before=""), expected, case.actual)
    return None


def _takes(model: OpenedModel, fault: ImageFault) -> bool:
    return fault.keeps_pixels or model.artifact.input_dtype == "float32"


def _as_fed(images: NDArray[np.uint8], fault: ImageFault) -> NDArray[Any]:
    return images if fault.keeps_pixels else images.astype(np.float32)


def _layer_curve(case: Case) -> tuple[LayerParity, ...]:
    """SQNR of every layer on the few images, one of them at a time."""
    names = shared_layers(case.reference, case.candidate)
    sums = {name: LayerSums() for name in names}
    for image in case.images:
        expected, actual = (m.read(image[None], names) for m in (case.reference, case.candidate))
        for name in names:
            sums[name].add(expected[name], actual[name])
    return tuple(sums[name].parity(name) for name in names)


def _layer_trial(case: Case, suspicious: SuspiciousLayer, curve: Sequence[LayerParity]) -> Trial:
    if math.isfinite(suspicious.sqnr_db):
        return _clipping_trial(case, suspicious)
    return _not_finite_trial(case, suspicious, curve)


def _not_finite_trial(
    case: Case, suspicious: SuspiciousLayer, curve: Sequence[LayerParity]
) -> Trial:
    """A layer that gives NaN or infinity, where those in front of it do not."""
    before = next(i for i, layer in enumerate(curve) if layer.name == suspicious.name) - 1
    return Trial(
        "not-finite",
        f"{case.candidate.path} has NaN or infinity from {suspicious.name} on",
        f"SQNR of {suspicious.name}, and of the layer before it, {case.where}",
        suspicious.sqnr_db,
        curve[before].sqnr_db if before >= 0 else math.inf,
        explains=True,
        fix=f"export it again: the weights of {suspicious.name} are damaged, or overflow float16",
        layer=suspicious.name,
    )


def _clipping_trial(case: Case, suspicious: SuspiciousLayer) -> Trial:
    """Whether the layer gives what it should, cut off where its range ends."""
    expected, actual = (
        model.read(case.images, [suspicious.name])[suspicious.name]
        for model in (case.reference, case.candidate)
    )
    clipped = np.clip(expected, actual.min(), actual.max())
    before, after = sqnr_db(expected, actual), sqnr_db(clipped, actual)
    return Trial(
        "clipped-range",
        f"{case.candidate.path} cuts {suspicious.name} off at {actual.max():.4g}, where the "
        f"reference reaches {expected.max():.4g}",
        f"SQNR of {suspicious.name} {case.where}",
        before,
        after,
        after >= suspicious.expected_db and after >= before + CLEAR_GAIN_DB,
        "calibrate on images like these, with the method minmax",
        suspicious.name,
    )
