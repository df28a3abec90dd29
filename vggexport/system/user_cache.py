"""Where what can be made again is kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "VGGEXPORT_CACHE_DIR"


def user_cache(part: str = "") -> Path:
    """A folder in the user's cache, or in the one that the variable names; it may not be there."""
    if folder := os.environ.get(VARIABLE):
        return Path(folder) / part
    import platformdirs  # noqa: PLC0415  a machine without it names its folder

    return platformdirs.user_cache_path("vggexport") / part
