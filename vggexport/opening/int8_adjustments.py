"""What is changed in an int8 network where a trial shows that it is clearly better for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.errors import Advice
from vggexport.formats.runner import Runner
from vggexport.metrics.parity import ParityMetrics
from vggexport.network.forward import NumpyNetwork
from vggexport.opening.calibration_images import ImagePlan
from vggexport.opening.int8_trial import Int8Trial
from vggexport.opening.network import Network
from vggexport.precision import Precision
from vggexport.quantization.bias_correction import bias_corrections
from vggexport.quantization.calibrate import ReadRanges, observe_growing
from vggexport.quantization.ranges import ActivationRanges
from vggexport.system.number_text import counted
from vggexport.system.progress import Steps

GOOD_LOGIT_SQNR_DB = 20.0
"""From here on no bias is corrected: errors are a tenth of the logits, and what is left of them
differs from image to image, which no bias takes off."""

CLEAR_DB = 3.0
"""Half or twice the errors' power, and more than so few images swing by."""

LEAST_IMAGES = 12
"""With fewer no bias is corrected: means of 4 images were worth nothing, of 8 as much as of 16."""

OTHER_METHOD = "mse"
"""Is tried where nobody chose a method and the first leaves int8 poor: ranges of least squared
error clip rare values, with which the steps of all others would be coarse."""

OTHER_IMAGES = 8
"""Synthetic images that ranges are tried on, and widened by."""


def adjusted(
    network: Network,
    runner: Runner,
    plan: ImagePlan,
    ranges: ActivationRanges,
    folder: Path,
    steps: Steps,
) -> ActivationRanges:
    """The ranges as they are, or widened, or with corrected biases, or all of it by another method.

    A third of the plan's first images is for measuring. Synthetic calibration images are left out
    of it: they hold what the others lack, and nothing of the means that photographs have.
    """
    if plan.source.name == calibration.SYNTHETIC:
        return ranges
    images = np.stack(plan.first)
    others = plan.other_images(OTHER_IMAGES)
    measured = images[: max(1, len(images) // 3)]
    with steps.step("int8 trial"):
        trial = Int8Trial.on(measured, others, network=network, runner=runner, folder=folder)
        observe = partial(observe_growing, runner.activations, network.spec)
        mended = partial(_mended, images=images, observe=partial(observe, others))
        best = mended(_Tried.of(trial, ranges))
        if plan.is_open and not best.is_good:
            again = steps.track(plan.calibration_images_again(), plan.calibrated)
            *_, bounds = observe(again, OTHER_METHOD)
            record = replace(ranges.calibration, method=OTHER_METHOD)
            other = replace(ranges, calibration=record, ranges=bounds())
            best = _better(best, mended(_Tried.of(trial, other)))
    for fact, advice in best.notes:
        steps.progress.note(fact, *advice)
    return best.ranges


Observe: TypeAlias = Callable[[str], Iterator[ReadRanges]]
"""Ranges of images that are settled, by a method."""


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """Ranges, and what they gave in a trial, on calibration images and on synthetic ones."""

    trial: Int8Trial
    ranges: ActivationRanges
    own: ParityMetrics
    others: ParityMetrics
    notes: tuple[tuple[str, tuple[Advice, ...]], ...] = ()

    @classmethod
    def of(cls, trial: Int8Trial, ranges: ActivationRanges) -> _Tried:
        """Ranges in a trial."""
        own, others = trial.parities(ranges)
        return cls(trial, ranges, own, others)

    def instead(self, ranges: ActivationRanges) -> _Tried:
        """Other ranges in the same trial."""
        return replace(_Tried.of(self.trial, ranges), notes=self.notes)

    def noting(self, fact: str, *advice: Advice) -> _Tried:
        """The same with one note more."""
        return replace(self, notes=(*self.notes, (fact, advice)))

    @property
    def is_good(self) -> bool:
        """Whether nothing need be tried to make it better."""
        return self.own.logit_sqnr_db >= GOOD_LOGIT_SQNR_DB

    @property
    def fails_on_others(self) -> bool:
        """Whether a file would fail its check on the synthetic images."""
        return bool(Precision.INT8.profile.tolerance.violations(self.others))

    def gains(self, before: _Tried) -> bool:
        """Whether it is clearly better on calibration images."""
        return self.own.logit_sqnr_db - before.own.logit_sqnr_db >= CLEAR_DB


def _mended(tried: _Tried, images: NDArray[np.uint8], observe: Observe) -> _Tried:
    return _with_corrected_biases(_widened(tried, observe), images)


def _better(first: _Tried, other: _Tried) -> _Tried:
    """Ranges of :data:`OTHER_METHOD`, where they clearly gain."""
    if not other.gains(first) or (other.fails_on_others and not first.fails_on_others):
        return first
    return other.noting(
        f"ranges by {OTHER_METHOD}: the logits of int8 have {other.own.logit_sqnr_db:.1f} dB "
        f"instead of {first.own.logit_sqnr_db:.1f} dB on {_counted(other)}",
        Advice(f"keep those of {calibration.DEFAULT_METHOD} with {{}}", "calibration_method"),
    )


def _counted(tried: _Tried) -> str:
    return counted(len(tried.trial.images[0]), "calibration image")


def _widened(tried: _Tried, observe: Observe) -> _Tried:
    """Ranges that hold for synthetic images, where a file would fail its check on them otherwise.

    Few or uniform images give ranges that others exceed by far, and what exceeds them is clipped.
    """
    if not tried.fails_on_others:
        return tried
    *_, bounds = observe(tried.ranges.calibration.method)
    wider = tried.instead(tried.ranges.widened(bounds()))
    lost = tried.own.logit_sqnr_db - wider.own.logit_sqnr_db
    if wider.fails_on_others or not lost <= CLEAR_DB:
        return tried
    return wider.noting(
        f"ranges widened to hold for {OTHER_IMAGES} synthetic images, where int8 had "
        f"{tried.others.logit_sqnr_db:.1f} dB on the logits and has "
        f"{wider.others.logit_sqnr_db:.1f} dB now; on calibration images "
        f"{tried.own.logit_sqnr_db:.1f} dB became {wider.own.logit_sqnr_db:.1f} dB",
        Advice("more varied images with {} make this unnecessary", "calibration_data"),
    )


def _with_corrected_biases(tried: _Tried, images: NDArray[np.uint8]) -> _Tried:
    """Corrected biases, where int8 gains by them on images that are not theirs.

    What means over the images that are not measured on are worth is tried; where they are kept,
    they are taken over all.
    """
    if len(images) < LEAST_IMAGES or tried.is_good:
        return tried
    measured = len(tried.trial.images[0])
    network = tried.trial.network
    corrected = tried.instead(_corrected(network, tried.ranges, images[measured:]))
    if not corrected.gains(tried):
        return tried
    ranges = _corrected(network, tried.ranges, images)
    return replace(corrected, ranges=ranges).noting(
        f"biases corrected for what rounding shifts (arXiv 1906.04721): the logits of int8 have "
        f"{corrected.own.logit_sqnr_db:.1f} dB instead of {tried.own.logit_sqnr_db:.1f} dB on "
        f"{_counted(tried)}"
    )


def _corrected(
    network: Network, ranges: ActivationRanges, images: NDArray[np.uint8]
) -> ActivationRanges:
    """The ranges with biases corrected by the means over images."""
    float_network = NumpyNetwork(network.spec, network.weights)
    return replace(
        ranges,
        calibration=replace(ranges.calibration, bias_correction=True),
        bias_corrections=bias_corrections(float_network, ranges.quantization(), images),
    )
