"""What was probably meant where a name is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

_ALIKE = 0.8
"""Share of the letters of two paths that agree, as difflib counts them: a typing error or two."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to write instead of a name that is not known: the nearest, or any of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"


def not_there(path: Path) -> str:
    """That a path does not exist, and which one of its folder has nearly its name."""
    try:
        names = sorted(place.name for place in path.parent.iterdir())
    except OSError:
        names = []
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=_ALIKE)
    meant = f": did you mean {path.with_name(near[0])}?" if near else ""
    return f"{path} does not exist{meant}"
