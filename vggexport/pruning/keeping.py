"""Arrays that are computed once and kept in a file, so that a run that broke off goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def array_file(path: Path, *shape: int) -> np.memmap:
    """A float32 array in a new ``.npy`` file that has its room on the disk from the beginning.

    Without that a full disk would end the process by a signal when the array is written to.

    Raises:
        OSError: There is no room.
    """
    array = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    if sys.platform == "linux":
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def kept(path: Path, make: Callable[[], Arrays]) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file, made and written whole or not at all if it is not there."""
    if not path.exists():
        unfinished = path.with_suffix(".part.npz")
        np.savez(unfinished, allow_pickle=False, **make())
        unfinished.replace(path)
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
