"""The description beside a file, held to the file."""

from __future__ import annotations

import json
from pathlib import Path

from vggexport.artifact import sidecar_path


def stale_sidecar(path: Path, sha256: str) -> str:
    """Says that the description beside a file is that of other bytes; empty where it is not.

    One of the two was changed or replaced since they were written together, such as a file that
    was damaged on its way, or a description that was left behind.
    """
    beside = sidecar_path(path)
    try:
        told = json.loads(beside.read_bytes())["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""  # there is none, or it is no description
    return "" if told in {None, sha256} else f"{path} is not the file that {beside} describes"


WRITE_BOTH = "export it again, which writes both"
"""What to do then."""
