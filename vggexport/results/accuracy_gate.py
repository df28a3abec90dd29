"""A limit that an evaluation is held to, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from vggexport.metrics.accuracy import Interval
from vggexport.metrics.verdict import Verdict
from vggexport.system.json_values import JsonValue


@dataclass(frozen=True, slots=True)
class GateCheck(JsonValue):
    """One limit held to one network.

    Attributes:
        path: The network.
        what: "top-1" or "top-1 drop".
        value: What was measured.
        interval: What it may be, 95 %.
        limit: What was asked for.
        verdict: Whether the interval is within it.
        images_needed: About how many would tell, where these do not and any number is likely to.
    """

    json_keys = "path what value ci95=interval.ends limit verdict images_needed?"

    path: str
    what: str
    value: float
    interval: Interval
    limit: float
    verdict: Verdict
    images_needed: int | None = None

    @property
    def bound(self) -> str:
        """Which side of the limit is good."""
        return "at most" if self.is_drop else "at least"

    @property
    def is_drop(self) -> bool:
        """Whether it is a difference of two shares, which is in percentage points."""
        return self.what.endswith("drop")

    @property
    def clause(self) -> str:
        """All of it in words."""
        low, high = (f"{100 * value:.2f}" for value in (self.interval.low, self.interval.high))
        needed = f"; about {self.images_needed:,} images needed" if self.images_needed else ""
        unit, limit = "points" if self.is_drop else "%", f"{100 * self.limit:g}"
        limited = f"{limit} {unit.removesuffix('s') if limit == '1' else unit}"
        return (
            f"{self.path}: {self.what} {100 * self.value:.2f} {unit} (95 %: {low} to {high}) where "
            f"{self.bound} {limited} was asked for{needed}"
        )
