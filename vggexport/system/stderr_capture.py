"""Keeps what native libraries print while they start off the terminal.

TensorFlow's C++ start-up writes to file descriptor 2 before any logging level applies. An error
must be one line on stderr here, so what is written during an import is kept, and shown only if the
import fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDOUT, STDERR = 1, 2

_ONE_AT_A_TIME = threading.RLock()
"""Descriptors are the process's: a thread that diverts one within another's turn would put back
what that one diverted it to, and what is written from then on would be lost."""


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Diverts file descriptor 2; gives back what was written if the body raises."""
    written: list[bytes] = []
    try:
        with captured_stderr() as written:
            yield
    except BaseException:
        os.write(STDERR, b"".join(written))
        raise


@contextmanager
def captured_stderr() -> Iterator[list[bytes]]:
    """Diverts file descriptor 2; what was written is the list's one item when the body is left."""
    sys.stderr.flush()
    with _captured(STDERR) as written:
        yield written


@contextmanager
def silenced_stdout() -> Iterator[None]:
    """Drops what goes to file descriptor 1, where a command's document belongs alone."""
    sys.stdout.flush()
    with _captured(STDOUT):
        yield


@contextmanager
def _captured(descriptor: int) -> Iterator[list[bytes]]:
    written: list[bytes] = []
    with _ONE_AT_A_TIME, tempfile.TemporaryFile() as kept:
        original = os.dup(descriptor)
        os.dup2(kept.fileno(), descriptor)
        try:
            yield written
        finally:
            os.dup2(original, descriptor)
            os.close(original)
            kept.seek(0)
            written.append(kept.read())
