"""Paths as short as they can be told apart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def ends(paths: Iterable[str]) -> dict[str, str]:
    """Of each path as much of its end as no other has."""
    known = list(dict.fromkeys(paths))
    found = {}
    for path in known:
        parts = Path(path).parts
        shorter = ("/".join(parts[-n:]) for n in range(1, len(parts)))
        others = [f"/{other}" for other in known if other != path]
        unique = (end for end in shorter if not any(o.endswith(f"/{end}") for o in others))
        found[path] = next(unique, path)
    return found
