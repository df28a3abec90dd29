"""A network of some thousand parameters, and folders of images, for the Python API."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vggexport.spec import VGGSpec, parse_blocks
from vggexport.workflows import NetworkOptions

COLOURS = {
    "ant": (200, 50, 50),
    "bee": (50, 200, 50),
    "cat": (50, 50, 200),
    "dog": (210, 210, 60),
    "eel": (60, 60, 60),
}


@pytest.fixture
def network() -> NetworkOptions:
    blocks = parse_blocks("conv3-4 conv1-6 | conv3-8")
    return NetworkOptions(request=VGGSpec("tiny", blocks, classes=5, fc_units=64, input_size=16))


@pytest.fixture
def pixels() -> np.ndarray:
    """Ten images of noise, all different."""
    return np.random.default_rng(1).integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def make_npz(tmp_path, pixels) -> Callable[[int], str]:
    """An .npz of the first ``count`` of them."""

    def make(count: int) -> str:
        path: Path = tmp_path / f"images{count}.npz"
        np.savez(path, images=pixels[:count])
        return str(path)

    return make


@pytest.fixture
def labelled(tmp_path) -> Path:
    """Five classes of six images each, which a network can learn to tell apart by colour."""
    root, random = tmp_path / "labelled", np.random.default_rng(2)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(6):
            noise = random.integers(-40, 41, (20, 20, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root
