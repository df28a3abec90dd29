"""Patience counts steps where an epoch has few."""

import dataclasses

import numpy as np
import pytest

from vggexport.network.training_recipe import PAPER
from vggexport.training.job import Sample, TrainingJob
from vggexport.training.patience import patience


@pytest.mark.parametrize(
    ("images", "batch", "epochs"),
    [
        (36, 256, 30),
        (257, 256, 15),
        (5 * 256, 256, 6),
        (6 * 256, 256, 5),
        (10**6, 256, 5),
        (36, 6, 5),
    ],
)
def test_thirty_steps_or_the_epochs_of_the_recipe(tiny, images, batch, epochs):
    sample = Sample(np.arange(images), np.zeros(images, np.int32), lambda _index, _view: None)
    job = TrainingJob(tiny, tiny.head_input, {}, 2, sample, sample)
    assert patience(job, dataclasses.replace(PAPER, batch=batch)) == epochs
