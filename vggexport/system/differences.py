"""How two descriptions differ, name by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is not the same in both.

    Attributes:
        name: Its name; of a value within another, both names.
        first: The value in the first; None where it has none.
        second: The value in the second.
    """

    name: str
    first: Any
    second: Any


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    """All of them, in the order of the first."""
    for name in dict.fromkeys((*first, *second)):
        mine, theirs = first.get(name), second.get(name)
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            for within in differences(mine, theirs):
                yield Difference(f"{name} {within.name}", within.first, within.second)
        elif mine != theirs:
            yield Difference(name, mine, theirs)
