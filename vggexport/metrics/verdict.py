"""What a gate says, of accuracy or of latency."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """Whether an interval is on the good side of a limit."""

    PASS = "pass"  # noqa: S105  no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """The interval holds the limit: more images or rounds are needed to tell."""


_WORST_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of one or more."""
    return min(verdicts, key=_WORST_FIRST.index)


def refused(*, strict: bool) -> frozenset[Verdict]:
    """The verdicts that a gate does not let through; a strict one no inconclusive one, either."""
    return frozenset({Verdict.FAIL, Verdict.INCONCLUSIVE} if strict else {Verdict.FAIL})
