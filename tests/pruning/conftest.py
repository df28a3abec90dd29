"""A small network that runs from NumPy alone, and images with structure."""

from dataclasses import replace

import numpy as np
import pytest

from vggexport.network.forward import NumpyNetwork
from vggexport.network.head import Pooling, fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.pruning.survey import Survey

NARROWABLE = VGGSpec(
    "own",
    parse_blocks("conv3-8 conv1-8 | conv3-16 conv3-16"),
    classes=5,
    hidden=fully_connected(24, 12),
    input_size=(18, 16),
)
SURVEYED = 40


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """56 images of coarse patches and some noise, 18 x 16."""
    random = np.random.default_rng(3)
    patches = random.integers(0, 200, (56, 5, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    noise = random.integers(0, 56, (56, 18, 16, 3))
    return (patches[:, :18] + noise).astype(np.uint8)


@pytest.fixture(scope="session")
def make_network(make_weights):
    """(pooling="flatten") -> the network with seeded weights."""

    def make(pooling: str = "flatten") -> NumpyNetwork:
        spec = replace(NARROWABLE, pooling=Pooling(pooling))
        return NumpyNetwork(spec, make_weights(spec))

    return make


@pytest.fixture(scope="session")
def make_survey(make_network, pictures, tmp_path_factory):
    """(pooling="flatten") -> the survey of 40 of the images."""

    def make(pooling: str = "flatten") -> Survey:
        survey = Survey(make_network(pooling), tmp_path_factory.mktemp("survey"), SURVEYED)
        batches = (pictures[first : first + 8] for first in range(0, SURVEYED, 8))
        assert list(survey.run(batches)) == [8, 16, 24, 32, 40]
        return survey

    return make


@pytest.fixture(scope="session")
def survey(make_survey) -> Survey:
    return make_survey()
