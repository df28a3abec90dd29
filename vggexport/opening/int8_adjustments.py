"""What is changed in an int8 network where a trial shows that it is clearly better for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

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
from vggexport.system.progress import Progress, Steps

GOOD_LOGIT_SQNR_DB = 20.0
"""From here on no bias is corrected: errors are a tenth of the logits, and what is left of them
differs from image to image, which no bias takes off."""

CLEAR_DB = 3.0
"""Half or twice the errors' power, and more than so few images swing by."""

LEAST_IMAGES = 12
"""With fewer no bias is corrected: means of 4 images were worth nothing, of 8 as much as of 16."""

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
    """The ranges as they are, or widened, or with corrected biases, or both.

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
        tried = _Tried(trial, ranges, *trial.parities(ranges))
        observe = partial(observe_growing, runner.activations, network.spec, others, plan.method)
        tried = _widened(tried, observe, steps.progress)
        return _with_corrected_biases(tried, images, steps.progress).ranges


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """Ranges, and what they gave in a trial, on calibration images and on synthetic ones."""

    trial: Int8Trial
    ranges: ActivationRanges
    own: ParityMetrics
    others: ParityMetrics

    def instead(self, ranges: ActivationRanges) -> _Tried:
        """Other ranges in the same trial."""
        return _Tried(self.trial, ranges, *self.trial.parities(ranges))


def _widened(
    tried: _Tried, observe: Callable[[], Iterator[ReadRanges]], progress: Progress
) -> _Tried:
    """Ranges that hold for synthetic images, where a file would fail its check on them otherwise.

    Few or uniform images give ranges that others exceed by far, and what exceeds them is clipped.
    """
    demanded = Precision.INT8.profile.tolerance
    if not demanded.violations(tried.others):
        return tried
    *_, bounds = observe()
    wider = tried.instead(tried.ranges.widened(bounds()))
    lost = tried.own.logit_sqnr_db - wider.own.logit_sqnr_db
    if demanded.violations(wider.others) or not lost <= CLEAR_DB:
        return tried
    progress.note(
        f"ranges widened to hold for {OTHER_IMAGES} synthetic images, where int8 had "
        f"{tried.others.logit_sqnr_db:.1f} dB on the logits and has "
        f"{wider.others.logit_sqnr_db:.1f} dB now; on calibration images "
        f"{tried.own.logit_sqnr_db:.1f} dB became {wider.own.logit_sqnr_db:.1f} dB",
        Advice("more varied images with {} make this unnecessary", "calibration_data"),
    )
    return wider


def _with_corrected_biases(tried: _Tried, images: NDArray[np.uint8], progress: Progress) -> _Tried:
    """Corrected biases, where int8 gains by them on images that are not theirs.

    What means over the images that are not measured on are worth is tried; where they are kept,
    they are taken over all.
    """
    measured = len(tried.trial.images[0])
    plain = tried.own.logit_sqnr_db
    if len(images) < LEAST_IMAGES or plain >= GOOD_LOGIT_SQNR_DB:
        return tried
    ranges = tried.ranges
    network = tried.trial.network
    gained = tried.instead(_corrected(network, ranges, images[measured:])).own.logit_sqnr_db
    if not gained - plain >= CLEAR_DB:
        return tried
    progress.note(
        f"biases corrected for what rounding shifts (arXiv 1906.04721): the logits of int8 have "
        f"{gained:.1f} dB instead of {plain:.1f} dB on {measured} calibration images"
    )
    return replace(tried, ranges=_corrected(network, ranges, images))


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
