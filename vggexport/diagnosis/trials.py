"""Why a file is off: the known mistakes, tried one after the other on a few images.

Each trial makes up for one mistake and measures again. Kinds are tried from the outside inwards,
the output, the images, the layers and their weights; those of the first kind that explains the
difference are the last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.diagnosis.images import ImageFault, image_fault_pairs, image_faults
from vggexport.diagnosis.layers import (
    SAME_INTEGERS_OWN_NOISE,
    first_suspicious,
)
from vggexport.diagnosis.outputs import OUTPUT_FAULTS, OutputFault
from vggexport.diagnosis.running_parity import LayerSums
from vggexport.diagnosis.weights import KernelDifference, compare_weights
from vggexport.errors import ArtifactError
from vggexport.metrics.parity import ParityMetrics, compare, sqnr_db
from vggexport.metrics.tolerance import LayerSqnr, Tolerance
from vggexport.network.layers import OUTPUT_NAME
from vggexport.opening.file_check import read, same_integers
from vggexport.opening.models import Contestant
from vggexport.precision import Profile, coarser
from vggexport.results.verify import Diagnosis, LayerParity, SuspiciousLayer, Trial
from vggexport.system.progress import Steps

CLEAR_GAIN_DB = 10.0
"""What making up for a mistake that loses something must gain, at least, to explain it."""

CLEAR_SQNR_DB = 15.0
"""And what it must reach: runtimes round differently when they resize, so that it gets no nearer
than about 20 dB to a file that does; other mistakes measured 8 dB at most."""


LISTED_LAYERS = 4

SCREENED_IMAGES = 2
SCREENED_GAIN_DB = 3.0
"""A mistake that explains a difference gains ten times that."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A file that failed, and what it gave for a few images.

    Attributes:
        reference: What it is held to.
        candidate: The file.
        images: uint8 (images, size, size, 3), RGB.
        tolerance: What it has to reach.
        expected: The reference's probabilities.
        actual: The file's.
    """

    reference: Contestant
    candidate: Contestant
    images: NDArray[np.uint8]
    tolerance: Tolerance
    expected: NDArray[np.float32]
    actual: NDArray[np.float32]

    @property
    def figure(self) -> str:
        """What is measured at the output."""
        logits = self.tolerance.min_logit_sqnr_db is not None
        return "SQNR of the logits" if logits else "SQNR of the probabilities"

    def value_db(self, metrics: ParityMetrics) -> float:
        """The figure's value."""
        logits = self.tolerance.min_logit_sqnr_db is not None
        return metrics.logit_sqnr_db if logits else metrics.sqnr_db

    def first(self, count: int) -> Case:
        """The same with some of the images only."""
        return replace(
            self,
            images=self.images[:count],
            expected=self.expected[:count],
            actual=self.actual[:count],
        )

    def output_trial(
        self,
        fault: ImageFault | OutputFault,
        expected: NDArray[np.float32],
        actual: NDArray[np.float32],
    ) -> Trial:
        """The trial of a fault, from what reference and file give once it is made up for."""
        before = self.value_db(compare(self.expected, self.actual))
        metrics = compare(expected, actual)
        after = self.value_db(metrics)
        explains = not self.tolerance.violations(metrics)
        if fault.lossy:
            explains |= after >= max(CLEAR_SQNR_DB, before + CLEAR_GAIN_DB)
        return Trial(
            fault.name,
            f"{self.candidate.path} {fault.description}",
            self.figure,
            before,
            after,
            explains,
            fault.fix,
        )


def diagnose(
    reference: Contestant,
    candidate: Contestant,
    images: NDArray[np.uint8],
    tolerance: Tolerance,
    steps: Steps,
) -> Diagnosis:
    """Tries every known mistake.

    Args:
        reference: What the file is held to.
        candidate: The file that failed.
        images: uint8 (images, size, size, 3): a few.
        tolerance: What the file had to reach.
        steps: Who shows how far it is.
    """
    expected, actual = (_run(contestant, images) for contestant in (reference, candidate))
    case = Case(reference, candidate, images, tolerance, expected, actual)
    trials: list[Trial] = []
    for kind in (_output_trials, _image_trials, _image_pair_trials):
        trials.extend(kind(case, steps))
        if any(trial.explains for trial in trials):
            return Diagnosis(tuple(trials), len(images))
    if not reference.computes:
        return Diagnosis(tuple(trials), len(images))
    with suppress(ArtifactError):  # of weights that a broken file does not let be read
        trials.extend(_weights_trials(case))
    suspicious = None
    with suppress(ArtifactError):  # of layers that it does not
        curve = _layer_curve(case)
        suspicious = point_out(reference.artifact, candidate.artifact, curve)
        if suspicious:
            trials.append(_layer_trial(case, suspicious, curve))
    return Diagnosis(tuple(trials), len(images), suspicious)


def point_out(
    reference: Artifact, candidate: Artifact, layers: Sequence[LayerParity]
) -> SuspiciousLayer | None:
    """The first layer that falls by more than what is in front of it and rounding explain."""
    if not layers:
        return None
    curve = [layer.sqnr_db for layer in layers]
    found = first_suspicious(reference.spec.layers, curve, _own_noise(reference, candidate))
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


def _run(contestant: Contestant, images: NDArray[Any]) -> NDArray[np.float32]:
    batch = contestant.artifact.batch or 1
    return read(contestant.runner, images, [OUTPUT_NAME], batch)[OUTPUT_NAME]


def _output_trials(case: Case, steps: Steps) -> Iterator[Trial]:
    for fault in OUTPUT_FAULTS:
        if case.candidate.artifact.full_integer and fault.name == "softmax-quantized":
            continue
        if made_up := fault.make_up(case.expected, case.actual):
            yield case.output_trial(fault, *made_up)


def _image_trials(case: Case, steps: Steps) -> Iterator[Trial]:
    faults = image_faults(case.reference.artifact.spec.mean_rgb)
    yield from _try_images(case, faults, steps)


def _image_pair_trials(case: Case, steps: Steps) -> Iterator[Trial]:
    faults = tuple(image_fault_pairs(case.reference.artifact.spec.mean_rgb))
    yield from _try_images(case, faults, steps)


def _try_images(case: Case, faults: Sequence[ImageFault], steps: Steps) -> Iterator[Trial]:
    """Tries each on two images, and those that gain something there on all of them."""
    screen = case.first(SCREENED_IMAGES)
    for fault in steps.track(faults, len(faults)):
        trial = _try_image_fault(screen, fault)
        if trial and trial.with_db - trial.without_db >= SCREENED_GAIN_DB:
            trial = _try_image_fault(case, fault)
        if trial:
            yield trial


def _try_image_fault(case: Case, fault: ImageFault) -> Trial | None:
    """The trial of one mistake; None where neither of the two can be given such images."""
    if fault.undo and _takes(case.candidate, fault):
        actual = _run(case.candidate, fault.undo(_as_fed(case.images, fault)))
        return case.output_trial(fault, case.expected, actual)
    if case.reference.computes and _takes(case.reference, fault):
        expected = _run(case.reference, fault.imitate(_as_fed(case.images, fault)))
        return case.output_trial(fault, expected, case.actual)
    return None


def _takes(contestant: Contestant, fault: ImageFault) -> bool:
    return fault.keeps_pixels or contestant.artifact.input_dtype == "float32"


def _as_fed(images: NDArray[np.uint8], fault: ImageFault) -> NDArray[Any]:
    return images if fault.keeps_pixels else images.astype(np.float32)


def _weights_trials(case: Case) -> Iterator[Trial]:
    """What the weights say, if some of them are not the reference's."""
    reference, candidate = case.reference, case.candidate
    profile = _coarser(reference.artifact, candidate.artifact)
    compared = compare_weights(
        reference.artifact.spec, reference.weights(), candidate.weights(), profile
    )
    kinds = (
        ("layers-permuted", [d for d in compared.differences if d.is_layer]),
        ("kernel-layout", [d for d in compared.differences if d.found and not d.is_layer]),
        ("stale-weights", [d for d in compared.differences if not d.found]),
    )
    for fault, differences in kinds:
        if differences:
            yield _weights_trial(case, fault, differences, compared.same_db)


def _weights_trial(
    case: Case, fault: str, differences: Sequence[KernelDifference], same_db: float
) -> Trial:
    found_db = min(d.found_db for d in differences) if differences[0].found else same_db
    return Trial(
        fault,
        f"{case.candidate.path} {_WEIGHTS_FAULTS[fault]} {_listed(differences)}",
        "SQNR of the kernels",
        min(d.sqnr_db for d in differences),
        found_db,
        explains=True,
        fix=f"export it again from the weights that {case.reference.path} was made of",
        layer=differences[0].layer,
    )


_WEIGHTS_FAULTS = {
    "layers-permuted": "has weights of other layers:",
    "kernel-layout": "has kernels in another layout:",
    "stale-weights": "has other weights than the reference in",
}
"""What a file has, by the fault's name, in front of the layers."""


def _listed(differences: Sequence[KernelDifference]) -> str:
    """The layers, and what is in them, as far as that is known."""
    named = [
        f"{d.layer} ({'those of ' if d.is_layer else ''}{d.found})" if d.found else d.layer
        for d in differences[:LISTED_LAYERS]
    ]
    more = len(differences) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _layer_curve(case: Case) -> tuple[LayerParity, ...]:
    """SQNR of every layer on the few images, one of them at a time."""
    names = [layer.name for layer in case.reference.artifact.spec.layers]
    sums = {name: LayerSums() for name in names}
    for image in case.images:
        expected, actual = (
            read(c.runner, image[None], names, c.artifact.batch or 1)
            for c in (case.reference, case.candidate)
        )
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
        f"SQNR of {suspicious.name}, and of the layer in front",
        suspicious.sqnr_db,
        curve[before].sqnr_db if before >= 0 else math.inf,
        explains=True,
        fix=f"export it again: the weights of {suspicious.name} are damaged, or overflow float16",
        layer=suspicious.name,
    )


def _clipping_trial(case: Case, suspicious: SuspiciousLayer) -> Trial:
    """Whether the layer gives what it should, cut off where its range ends."""
    expected, actual = (
        read(c.runner, case.images, [suspicious.name], c.artifact.batch or 1)[suspicious.name]
        for c in (case.reference, case.candidate)
    )
    clipped = np.clip(expected, actual.min(), actual.max())
    before, after = sqnr_db(expected, actual), sqnr_db(clipped, actual)
    return Trial(
        "clipped-range",
        f"{case.candidate.path} cuts {suspicious.name} off at {actual.max():.4g}, where the "
        f"reference reaches {expected.max():.4g}",
        f"SQNR of {suspicious.name}",
        before,
        after,
        after >= suspicious.expected_db,
        "calibrate on images like these, with the method minmax",
        suspicious.name,
    )
