"""Paths as short as they can be told apart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_UNDER = re.compile(r"(.*) \((.*)\)")
"""One source and a convention for pixels that it is tried under."""


def conventions(paths: Iterable[str]) -> dict[str, str]:
    """Of each path its convention, where all are one source under several; else nothing."""
    known = list(dict.fromkeys(paths))
    under = [match for path in known if (match := _UNDER.fullmatch(path))]
    if not len(under) == len(known) > 1 or len({match[1] for match in under}) > 1:
        return {}
    return {match[0]: match[2] for match in under}


def ends(paths: Iterable[str]) -> dict[str, str]:
    """Of each path as much of its end as no other has; of one under conventions those alone."""
    known = list(dict.fromkeys(paths))
    if tried := conventions(known):
        return tried
    found = {}
    for path in known:
        parts = Path(path).parts
        shorter = ("/".join(parts[-n:]) for n in range(1, len(parts)))
        others = [f"/{other}" for other in known if other != path]
        unique = (end for end in shorter if not any(o.endswith(f"/{end}") for o in others))
        found[path] = next(unique, path)
    return found


def shortened(text: str, paths: Iterable[str]) -> str:
    """A text in which each path has its end alone."""
    short = ends(paths)
    for path in sorted(short, key=len, reverse=True):
        text = text.replace(path, short[path])
    return text
