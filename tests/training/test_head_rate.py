"""The learning rate of a head goes with the inverse of its inputs' squared norm."""

import dataclasses

import numpy as np
import pytest

from vggexport.training.head_rate import NORMALIZED_RATE, head_rate
from vggexport.training.job import Sample, TrainingJob


@pytest.fixture
def make_job(tiny, tiny_weights):
    """(scale, after) -> a job of three images whose inputs have the squared norms 4, 8 and 12."""

    def make(scale=1.0, after=tiny.head_input):
        def read(index, view):
            assert view == 0
            return scale * np.full(4, np.sqrt(index + 1), np.float32)

        sample = Sample(np.arange(3), np.zeros(3, np.int32), read)
        return TrainingJob(tiny, after, tiny_weights, 2, sample, sample)

    return make


def test_large_inputs_have_a_small_rate(make_job):
    for scale in (1e2, 1e3):
        assert head_rate(make_job(scale), 0.01) == pytest.approx(NORMALIZED_RATE / (8 * scale**2))


def test_the_rate_asked_for_is_the_most(make_job):
    assert head_rate(make_job(1.0), 0.01) == 0.01
    assert head_rate(make_job(0.0), 0.01) == 0.01
    assert head_rate(make_job(1e3), 1e-9) == 1e-9


def test_a_rate_of_more_than_a_head_is_the_recipes(make_job):
    assert head_rate(dataclasses.replace(make_job(1e3), after=None), 0.01) == 0.01
    assert head_rate(make_job(1e3, "block1_pool"), 0.01) == 0.01
