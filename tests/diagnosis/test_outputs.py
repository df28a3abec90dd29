"""The mistakes behind the last layer, told from probabilities alone."""

import numpy as np
import pytest

from vggexport.diagnosis.outputs import OUTPUT_FAULTS, grid_step
from vggexport.metrics.parity import compare, softmax

FAULTS = {fault.name: fault for fault in OUTPUT_FAULTS}
LOGITS = np.random.default_rng(2).normal(0, 3, (8, 12))
EXPECTED = softmax(LOGITS)
EXACT_DB = 100.0
"""Above 96 dB, which float32 reaches where the order of its roundings differs."""


def made_up(name, actual):
    pair = FAULTS[name].make_up(EXPECTED, actual)
    return None if pair is None else compare(*pair).logit_sqnr_db


def quantized(values, step):
    return np.rint(values / step) * step


MISTAKEN = {
    "softmax-missing": LOGITS.astype(np.float32),
    "softmax-twice": softmax(EXPECTED),
    "classes-permuted": EXPECTED[:, np.random.default_rng(0).permutation(12)],
    "softmax-quantized": quantized(EXPECTED, np.float32(1 / 256)),
    "logits-quantized": softmax(quantized(LOGITS, 0.25)),
}


def test_every_mistake_is_tried():
    assert set(MISTAKEN) == set(FAULTS)


@pytest.mark.parametrize("name", MISTAKEN)
def test_a_mistake_is_made_up_for(name):
    assert compare(EXPECTED, MISTAKEN[name]).logit_sqnr_db < 45
    assert made_up(name, MISTAKEN[name]) > EXACT_DB


@pytest.mark.parametrize("name", MISTAKEN)
@pytest.mark.parametrize("other", MISTAKEN)
def test_no_mistake_is_made_up_for_by_another_remedy(name, other):
    if other != name:
        reached = made_up(other, MISTAKEN[name])
        assert reached is None or reached < 15


@pytest.mark.parametrize("name", sorted(MISTAKEN.keys() - {"softmax-twice"}))
def test_healthy_probabilities_have_no_marks(name):
    noisy = softmax(LOGITS + np.random.default_rng(3).normal(0, 0.1, LOGITS.shape))
    assert made_up(name, noisy) is None


def test_clipped_logits_are_recognized():
    """Best classes that were clipped to one value cannot be told apart again: that part stays."""
    clipped = softmax(np.clip(quantized(LOGITS, 0.25), -4, 5))
    before = compare(EXPECTED, clipped).logit_sqnr_db
    assert made_up("logits-quantized", clipped) > before


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0.0, 0.25, 1.0, 2.75], 0.25),
        ([-5.0, -2.5, 0.0, 10.0], 2.5),
        ([0.0, 0.25, 1.1, 2.75], None),  # one value is between two steps
        ([0.0, 1.0, 2.0], None),  # too few steps to tell
        ([0.0, 0.0], None),
        (np.random.default_rng(0).uniform(0, 1, 50).tolist(), None),
    ],
)
def test_steps_of_a_grid(values, step):
    assert grid_step(np.array(values)) == (step and pytest.approx(step))
