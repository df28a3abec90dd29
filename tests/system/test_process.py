"""Memory of this process."""

import os
from pathlib import Path

from vggexport.system.process import give_back_memory

BLOCK = 64 * 1024  # below what glibc would map, and so give back, by itself


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_what_was_freed_below_something_that_is_kept_is_given_back():
    blocks = [b"x" * BLOCK for _ in range(1024)]
    kept = b"x" * BLOCK
    before = _resident_bytes()
    del blocks
    give_back_memory()
    assert before - _resident_bytes() > 512 * BLOCK
    assert kept
