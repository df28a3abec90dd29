"""A network of some thousand parameters and images that it can learn to tell apart."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import calibration

COLOURS = {"ant": (200, 50, 50), "bee": (50, 200, 50), "cat": (50, 50, 200)}


@pytest.fixture(scope="session")
def labelled(tmp_path_factory) -> Path:
    """Three classes of eight images each."""
    root, random = tmp_path_factory.mktemp("labelled"), np.random.default_rng(2)
    for name, colour in COLOURS.items():
        (root / name).mkdir()
        for number in range(8):
            noise = random.integers(-40, 41, (30, 24, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def source(labelled):
    return calibration.open_labelled(labelled, size=16).source
