"""Arrays that are computed once and kept in a file, so that a run that broke off goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def kept(path: Path, make: Callable[[], Arrays]) -> dict[str, NDArray[Any]]:
    """The arrays of a file, which is written whole or not at all if it is not there.

    Args:
        path: An ``.npz`` file.
        make: Computes them.
    """
    if not path.exists():
        unfinished = path.with_suffix(".part.npz")
        np.savez(unfinished, allow_pickle=False, **make())
        unfinished.replace(path)
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
