"""Whether more calibration images would change anything, as frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vggexport.system.json_values import Finite, JsonValue

STEADY_DB = 1.0
"""SQNRs of the logits that differ by less count as the same: the figure itself moves by as much
from one choice of a few dozen images to another."""


@dataclass(frozen=True, slots=True)
class CurvePoint(JsonValue):
    """An int8 file whose ranges were taken from so many images.

    Attributes:
        images: Number of images.
        logit_sqnr_db: SQNR of its logits against float32, on images of its own.
        top1_agreement: Share of those with the best class of float32.
        range_change: Largest change of a range from there to the last point, as a share of its
            span.
        layer: Where that is.
    """

    images: int
    logit_sqnr_db: Finite
    top1_agreement: float
    range_change: float
    layer: str


def sufficient_images(curve: Sequence[CurvePoint]) -> int | None:
    """The number of images from which on the SQNR is steady; None where it still moves at the end.

    A single point says nothing of that.
    """
    last = curve[-1].logit_sqnr_db
    steady: int | None = None
    for point in reversed(curve[:-1]):
        if not abs(point.logit_sqnr_db - last) <= STEADY_DB:
            break
        steady = point.images
    return steady
