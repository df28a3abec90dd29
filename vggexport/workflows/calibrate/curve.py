"""How many calibration images are enough: ranges after 8, 16, 32 ... images, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.formats.runner import Runner
from vggexport.metrics.parity import ParityMetrics
from vggexport.opening.int8_trial import Int8Trial
from vggexport.opening.network import Network
from vggexport.quantization.ranges import ActivationRanges
from vggexport.results.calibration_curve import CurvePoint
from vggexport.system.progress import Steps

FIRST_COUNT = 8
CHECK_IMAGES = 32
"""Images that every point of the curve is measured on: not calibrated on; where there are fewer of
them, synthetic ones too."""

Bounds = Mapping[str, tuple[float, float]]


def counts_up_to(samples: int) -> tuple[int, ...]:
    """Numbers of images to look at: 8, doubled until all of them."""
    counts = [FIRST_COUNT]
    while 2 * counts[-1] < samples:
        counts.append(2 * counts[-1])
    return (*(count for count in counts if count < samples), samples)


def measure_curve(
    network: Network,
    runner: Runner,
    snapshots: Mapping[int, ActivationRanges],
    images: NDArray[np.uint8],
    folder: Path,
    steps: Steps,
) -> tuple[CurvePoint, ...]:
    """Makes an int8 file with the ranges of each number of images, and holds it to float32.

    It is measured on images, uint8 (images, size, size, 3).
    """
    with steps.step("curve"):
        trial = Int8Trial.on(images, network=network, runner=runner, folder=folder)
        last = snapshots[max(snapshots)].ranges
        tracked = steps.track(snapshots.items(), len(snapshots))
        return tuple(
            _point(count, ranges, last, *trial.parities(ranges)) for count, ranges in tracked
        )


def _point(
    count: int, ranges: ActivationRanges, last: Bounds, metrics: ParityMetrics
) -> CurvePoint:
    changes = dict(_changes(ranges.ranges, last))
    layer = max(changes, key=lambda name: changes[name])
    return CurvePoint(count, metrics.logit_sqnr_db, metrics.top1_agreement, changes[layer], layer)


def _changes(bounds: Bounds, last: Bounds) -> Iterator[tuple[str, float]]:
    """By layer, how far the ends of a range are from the last, as a share of its span."""
    for name, (low, high) in last.items():
        span = high - low
        off = max(abs(bounds[name][0] - low), abs(bounds[name][1] - high))
        yield name, off / span if span else 0.0
