"""Files mapped into memory: what is read of them is read, and no more."""

from __future__ import annotations

import mmap
from pathlib import Path

from vggexport.errors import ArtifactError


def mapped(path: Path, kind: str) -> mmap.mmap:
    """A file's bytes, read-only; ``kind`` is what an empty one should be, for its message.

    Raises:
        ArtifactError: It cannot be read, or is empty.
    """
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as error:
        raise ArtifactError(f"{path} is empty: not {kind}") from error
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from error
