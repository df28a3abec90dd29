"""A network of some thousand parameters, and folders of images, for the Python API."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vggexport.spec import VGGSpec, parse_blocks
from vggexport.workflows import NetworkOptions


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
