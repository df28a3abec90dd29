"""Random numbers that depend on nothing but the numbers given."""

from __future__ import annotations

import numpy as np

from calibration.errors import CalibrationDataError


def generator(seed: int, *keys: int) -> np.random.Generator:
    """A generator of its own for each combination of ``seed`` and ``keys``.

    Args:
        seed: The user's seed, 0 or more.
        keys: What else distinguishes the stream, such as the index of an image, each 0 or more.

    Raises:
        CalibrationDataError: ``seed`` is negative.
    """
    if seed < 0:
        raise CalibrationDataError(f"seed {seed} is negative: pass 0 or more")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=keys))
