"""Biases corrected for int8, where that is measured to be clearly better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.formats.runner import Runner
from vggexport.network.forward import NumpyNetwork
from vggexport.network.layers import OUTPUT_NAME
from vggexport.opening.calibration_images import ImagePlan
from vggexport.opening.file_check import read
from vggexport.opening.int8_trial import int8_parity
from vggexport.opening.network import Network
from vggexport.quantization.bias_correction import bias_corrections
from vggexport.quantization.ranges import ActivationRanges
from vggexport.system.progress import Steps

GOOD_LOGIT_SQNR_DB = 20.0
"""From here on nothing is tried: errors are a tenth of the logits, and what is left of them differs
from image to image, which no bias takes off."""

MIN_GAIN_DB = 3.0
"""Half of the errors' power, and more than so few images swing by."""

LEAST_IMAGES = 12
"""With fewer nothing is tried: means of 4 images were worth nothing, of 8 as much as of 16."""


def with_bias_correction(
    network: Network,
    runner: Runner,
    plan: ImagePlan,
    ranges: ActivationRanges,
    folder: Path,
    steps: Steps,
) -> ActivationRanges:
    """The ranges, with corrected biases where int8 gains by them on images that are not theirs.

    A third of the plan's first images measures what means of the others are worth; where they are
    kept, they are taken of all. Synthetic images say nothing of the means that photographs have.

    Args:
        network: The network.
        runner: Its float32 file.
        plan: Whose images were calibrated on.
        ranges: What they gave.
        folder: Where files may be.
        steps: Who counts the seconds.
    """
    if len(plan.first) < LEAST_IMAGES or plan.source.name == calibration.SYNTHETIC:
        return ranges
    images = np.stack(plan.first)
    measured, meant = np.split(images, [len(images) // 3])
    with steps.step("bias correction"):
        reference = read(runner, measured, [OUTPUT_NAME], 1)[OUTPUT_NAME]

        def logit_sqnr_db(tried: ActivationRanges) -> float:
            return int8_parity(network, tried, measured, reference, folder).logit_sqnr_db

        plain = logit_sqnr_db(ranges)
        if plain >= GOOD_LOGIT_SQNR_DB:
            return ranges
        gained = logit_sqnr_db(_corrected(network, ranges, meant))
        if not gained - plain >= MIN_GAIN_DB:
            return ranges
        corrected = _corrected(network, ranges, images)
    steps.progress.note(
        f"biases corrected for what rounding shifts (arXiv 1906.04721): the logits of int8 have "
        f"{gained:.1f} dB instead of {plain:.1f} dB on {len(measured)} calibration images"
    )
    return corrected


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
