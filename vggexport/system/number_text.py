"""Numbers and names as text, the same in every rendering of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping

KILO, MEGA, GIGA, GIBI = 10**3, 10**6, 10**9, 2**30


def decibels(value: float) -> str:
    """An SQNR: "61.3 dB"; an infinite one is "exact"."""
    if math.isnan(value):
        return "NaN"
    return "exact" if value == math.inf else f"{fixed(value, 1)} dB"


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals; what rounds to zero has no sign."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def difference(value: float) -> str:
    """An absolute difference: "1.7e-05"; "0" for none."""
    if math.isnan(value):
        return "NaN"
    return f"{value:.1e}" if value else "0"


def share(value: float) -> str:
    """A share of images: "97.50%"."""
    return "NaN" if math.isnan(value) else f"{value:.2%}"


def points(value: float) -> str:
    """A difference of two shares, in percentage points: "2.00 points"."""
    return f"{fixed(100 * value, 2)} points"


def probability(value: float) -> str:
    """A class's probability: "97.5%"."""
    return "NaN" if math.isnan(value) else f"{value:.1%}"


def seconds(value: float) -> str:
    """A time: "12.3 s"."""
    return f"{value:.1f} s"


def gibibytes(value: int) -> str:
    """An amount of memory in bytes: "1.50 GiB"."""
    return f"{value / GIBI:.2f} GiB"


def cost(steps: Mapping[str, float], peak_rss_bytes: int) -> str:
    """Seconds in all and by step, and the largest resident memory."""
    parts = ", ".join(f"{step} {seconds(value)}" for step, value in steps.items())
    return f"{seconds(sum(steps.values()))} ({parts}), peak {gibibytes(peak_rss_bytes)}"


def counted(number: int, thing: str) -> str:
    """So many of a thing: "1 thread", "2 threads", "2 classes"."""
    ending = "" if number == 1 else "es" if thing.endswith("s") else "s"
    return f"{number} {thing}{ending}"


def printable(name: str) -> str:
    r"""A name that somebody else chose, on one line: "a\nb" for a line break in it.

    Control characters have no place in XML, line breaks none in a table, and the surrogates that
    stand for bytes of an undecodable file name none in UTF-8.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
