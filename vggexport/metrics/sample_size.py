"""How many images it takes until an interval tells on which side of a limit a share is.

The interval itself is asked, of the counts observed times a factor that bisection finds: the sample
size for a margin of error, here the distance to the limit (W. G. Cochran, "Sampling Techniques",
3rd edition 1977, section 4.4).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from vggexport.metrics.accuracy import Accuracy, Interval, PairedCounts, drop_interval, wilson

MOST_TIMES = 2**16
"""So many times the images that there are nobody takes."""


def images_for_share(counted: Accuracy, limit: float) -> int | None:
    """About how many images tell whether the top-1 share is above a limit that they leave open.

    Returns:
        Rounded up to two digits; None where the share is too near to the limit.
    """
    hits, images = counted.top1_hits, counted.images
    return _images(lambda times: wilson(times * hits, times * images), images, limit)


def images_for_drop(counted: PairedCounts, limit: float) -> int | None:
    """The same of a drop."""
    first, second, images = counted.only_first, counted.only_second, counted.images
    return _images(
        lambda times: drop_interval(times * first, times * second, times * images), images, limit
    )


def _images(interval: Callable[[float], Interval], images: int, limit: float) -> int | None:
    """By times the images that there are -> the interval."""

    def tells(times: float) -> bool:
        found = interval(times)
        return not found.low < limit < found.high

    low, high = 1.0, 2.0
    while not tells(high):
        low, high = high, 2 * high
        if high > MOST_TIMES:
            return None
    while (high - low) * images > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if tells(middle) else (middle, high)
    count = math.ceil(high * images)
    unit: int = 10 ** max(0, len(str(count)) - 2)
    return math.ceil(count / unit) * unit
