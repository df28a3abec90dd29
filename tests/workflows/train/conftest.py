"""A small network with weights for all but its last layer, and how it is trained."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import vggexport
from vggexport.network.training_recipe import Recipe
from vggexport.workflows.train.options import TrainOptions

RECIPE = Recipe(learning_rate=0.01, batch=8, epochs=3, patience=50, views=2)
OUTPUT = Path("w.safetensors")


@pytest.fixture
def begin(network, make_weights, tmp_path, monkeypatch):
    """Weights for all but the last layer, in a folder to work in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    weights = make_weights(network.request)
    np.savez("conv.npz", **{n: a for n, a in weights.items() if not n.startswith("predictions")})
    return dataclasses.replace(network, weights="conv.npz", init_missing=True)


@pytest.fixture
def trained(begin, labelled):
    """Options -> the report of a training."""

    def train(progress=None, **options):
        defaults = {"recipe": RECIPE, "output": OUTPUT, "cache_dir": Path("cache")}
        chosen = {"network": begin, "data": labelled, **defaults, **options}
        return vggexport.train(TrainOptions(**chosen), progress)

    return train
