"""Another assignment of classes: found where it is there, and not where a network guesses."""

import numpy as np
import pytest

from vggexport.metrics.assignment import find_other_order

TARGETS = np.repeat(np.arange(5), 20)


def best(answers):
    return np.asarray(answers, np.int32)[:, None]


def test_a_permutation_is_found_with_both_figures():
    order = np.array([2, 0, 1, 4, 3])
    other = find_other_order(TARGETS, best(order[TARGETS]), 5)
    assert other.answers == (2, 0, 1, 4, 3)
    assert (other.top1, other.other_top1) == (0.0, 1.0)


def test_two_classes_that_are_swapped_are_found():
    order = np.array([1, 0, 2, 3, 4])
    other = find_other_order(TARGETS, best(order[TARGETS]), 5)
    assert (other.answers, other.top1, other.other_top1) == ((1, 0, 2, 3, 4), 0.6, 1.0)


def test_a_class_that_is_never_right_is_no_order():
    answers = np.where(TARGETS == 3, 2, TARGETS)
    assert find_other_order(TARGETS, best(answers), 5) is None


@pytest.mark.parametrize("images", [1, 2, 4, 20])
def test_a_network_that_guesses_has_no_order(images):
    """Of one image a class, an assignment that is right for all can always be found."""
    random = np.random.default_rng(images)
    targets = np.repeat(np.arange(50), images)
    for _ in range(20):
        guessed = random.integers(0, 50, len(targets))
        assert find_other_order(targets, best(guessed), 50) is None


def test_no_answer_is_no_class():
    answers = np.where(TARGETS < 4, (TARGETS + 1) % 4, -1)
    other = find_other_order(TARGETS, best(answers), 5)
    assert (other.answers, other.other_top1) == ((1, 2, 3, 0, 4), 0.8)


def test_the_order_that_is_taken_is_no_other():
    assert find_other_order(TARGETS, best(TARGETS), 5) is None
