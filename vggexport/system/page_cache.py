"""What of a file is in memory before anybody asks for it, and how to have it forgotten.

``posix_fadvise(2)``: ``POSIX_FADV_DONTNEED`` drops the clean pages of a file that no process has
mapped, and needs no rights beyond reading it. ``mincore(2)`` tells what is left, of files that the
user owns or may write; of others it says that all is there. Linux has both.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path


def drop_cached(paths: Iterable[Path]) -> float | None:
    """Has files read from their disk the next time.

    Returns:
        The share of their pages that is in memory all the same, 0 to 1; None where the system has
        no such calls.
    """
    if not hasattr(os, "posix_fadvise"):  # pragma: no cover  macOS
        return None
    left = [pages for path in paths for pages in _left(path)]
    return sum(left) / len(left) if left else 0.0


def _left(path: Path) -> list[bool]:
    """Whether each page of a file is in memory, once it was asked that none is."""
    with path.open("rb") as file:
        os.fsync(file.fileno())  # what is not on the disk yet cannot be dropped
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        size = os.fstat(file.fileno()).st_size
        if not size:
            return []
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as mapped:
            return _resident(mapped, size)


def _resident(mapped: mmap.mmap, size: int) -> list[bool]:
    states = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
    first = ctypes.c_char.from_buffer(mapped)
    failed = ctypes.CDLL(None).mincore(
        ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size), states
    )
    del first  # the map cannot be closed while it is pointed to
    return [True] * len(states) if failed else [bool(state & 1) for state in states]
