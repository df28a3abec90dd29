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


def nearest(path: Path) -> Path | None:
    """The one in a path's folder that has nearly its name; None where there is none."""
    try:
        names = sorted(place.name for place in path.parent.iterdir())
    except OSError:
        return None
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=_ALIKE)
    return path.with_name(near[0]) if near else None


def not_there(path: Path) -> str:
    """That a path does not exist, and which one was probably meant."""
    near = nearest(path)
    return f"{path} does not exist" + (f": did you mean {near}?" if near else "")
