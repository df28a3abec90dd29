"""The mistakes behind the last layer, told from probabilities alone."""

import numpy as np
import pytest

from vggexport.diagnosis.outputs import grid_step, output_faults
from vggexport.metrics.parity import compare, probabilities_of
from vggexport.network.head import HeadActivation

LOGITS = np.random.default_rng(2).normal(0, 3, (8, 12))
EXACT_DB = 100.0
"""Above 96 dB, which float32 reaches where the order of its roundings differs."""


def quantized(values, step):
    return np.rint(values / step) * step


def mistakes(end):
    """What a network that should end in an activation gives, by the mistake that it makes."""
    expected = probabilities_of(LOGITS, end)
    return {
        f"{end}-missing": LOGITS.astype(np.float32),
        f"{end}-twice": probabilities_of(expected, end),
        "classes-permuted": expected[:, np.random.default_rng(0).permutation(12)],
        f"{end}-quantized": quantized(expected, np.float32(1 / 256)),
        "logits-quantized": probabilities_of(quantized(LOGITS, 0.25), end),
    }


MISTAKEN = {(end, name): found for end in HeadActivation for name, found in mistakes(end).items()}
FAULTS = {(end, fault.name): fault for end in HeadActivation for fault in output_faults(end)}


def made_up(end, name, actual):
    pair = FAULTS[end, name].make_up(probabilities_of(LOGITS, end), actual)
    return None if pair is None else compare(*pair, end).logit_sqnr_db


def test_every_mistake_is_tried():
    assert set(MISTAKEN) == set(FAULTS)


@pytest.mark.parametrize(("end", "name"), MISTAKEN)
def test_a_mistake_is_made_up_for(end, name):
    actual = MISTAKEN[end, name]
    assert compare(probabilities_of(LOGITS, end), actual, end).logit_sqnr_db < 45
    assert made_up(end, name, actual) > EXACT_DB


@pytest.mark.parametrize(("end", "name"), MISTAKEN)
@pytest.mark.parametrize("other", range(5))
def test_no_mistake_is_made_up_for_by_another_remedy(end, name, other):
    remedy = list(mistakes(end))[other]
    if remedy != name:
        reached = made_up(end, remedy, MISTAKEN[end, name])
        assert reached is None or reached < 15


@pytest.mark.parametrize(("end", "name"), [key for key in MISTAKEN if "twice" not in key[1]])
def test_healthy_probabilities_have_no_marks(end, name):
    noise = np.random.default_rng(3).normal(0, 0.1, LOGITS.shape)
    assert made_up(end, name, probabilities_of(LOGITS + noise, end)) is None


def test_one_output_has_no_order():
    """And its missing sigmoid is seen by what is outside of 0...1, not by sums of 1."""
    end, one = HeadActivation.SIGMOID, LOGITS[:, :1]
    expected = probabilities_of(one, end)
    remedies = {name: fault.make_up for (of, name), fault in FAULTS.items() if of is end}
    assert remedies["classes-permuted"](expected, 1 - expected) is None
    assert remedies["sigmoid-missing"](expected, expected) is None
    pair = remedies["sigmoid-missing"](expected, one.astype(np.float32))
    assert compare(*pair, end).logit_sqnr_db > EXACT_DB


def test_clipped_logits_are_recognized():
    """Best classes that were clipped to one value cannot be told apart again: that part stays."""
    for end in HeadActivation:
        clipped = probabilities_of(np.clip(quantized(LOGITS, 0.25), -4, 5), end)
        before = compare(probabilities_of(LOGITS, end), clipped, end).logit_sqnr_db
        assert made_up(end, "logits-quantized", clipped) > before


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
