"""Names of classes: which label of a network the name of a folder is."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Sequence

from calibration.errors import CalibrationDataError

_NAMED_IN_ERRORS = 5
_SYNSET = re.compile(r"(n\d{8})\s+(\S.*)")
"""WordNet's identifier of a noun in front of its name, as in ImageNet's lists."""

_TOLD_APART = re.compile(r"(.+) \(\d+\)")


def normal(name: str) -> str:
    """A name in Unicode's normal form C: macOS writes folders in another one than editors do."""
    return unicodedata.normalize("NFC", name)


def told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """The names, those that stand more than once with their index: "crane (134)"."""
    return tuple(
        f"{name} ({index})" if names.count(name) > 1 else name for index, name in enumerate(names)
    )


def find_places(names: Sequence[str], labels: Sequence[str], *, of: str, owner: str) -> list[int]:
    """Index of the label that each name is.

    A label is known by all of it, by its synset, by its name alone, and by the first of several
    names that commas part; capitals, underscores and spaces around do not count where nothing else
    is meant.

    Args:
        names: Of folders.
        labels: By index.
        of: Whose the names are, for messages.
        owner: Whose the labels are.

    Raises:
        CalibrationDataError: A name is no label's, or that of several.
    """
    exact = {normal(label): [index] for index, label in enumerate(labels)}
    other: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        for alias in {_loosely(alias) for alias in _aliases(normal(label))}:
            other.setdefault(alias, []).append(index)
    found = [exact.get(normal(name)) or other.get(_loosely(normal(name)), []) for name in names]
    if unknown := [name for name, places in zip(names, found, strict=True) if not places]:
        near = difflib.get_close_matches(unknown[0], labels, n=1)
        hint = f"; the nearest to {unknown[0]!r} is {near[0]!r}" if near else ""
        raise CalibrationDataError(
            f"{of!r} has {len(unknown)} of {len(names)} classes that {owner} does not know: "
            f"{listed(unknown)}{hint}; name them as its labels, {listed(labels)}"
        )
    for name, places in zip(names, found, strict=True):
        if len(places) > 1:
            meant = listed([labels[place] for place in places])
            raise CalibrationDataError(
                f"{of!r} has a class {name!r}, and {owner} has {len(places)} of that name: name it "
                f"as one of its labels, {meant}"
            )
    return [place for (place,) in found]


def listed(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    shown = ", ".join(map(repr, names[:_NAMED_IN_ERRORS]))
    rest = len(names) - _NAMED_IN_ERRORS
    return f"{shown} and {rest} more" if rest > 0 else shown


def _aliases(label: str) -> Iterator[str]:
    yield label
    if match := _SYNSET.fullmatch(label):
        yield match[1]
        yield from _aliases(match[2])
    elif match := _TOLD_APART.fullmatch(label):
        yield match[1]
    if "," in label:
        yield label.partition(",")[0]


def _loosely(name: str) -> str:
    return name.casefold().replace("_", " ").strip()
