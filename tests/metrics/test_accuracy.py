"""Counts against numpy written out, intervals and tests against published examples."""

import math

import numpy as np
import pytest

from vggexport.metrics.accuracy import (
    NO_ANSWER,
    Accuracy,
    Interval,
    PairedCounts,
    best_classes,
    class_probabilities,
    drop_interval,
    judge_at_least,
    judge_at_most,
    mcnemar,
    wilson,
)
from vggexport.metrics.verdict import Verdict


@pytest.fixture
def answers():
    """Targets and probabilities of 200 images and 9 classes, with ties."""
    random = np.random.default_rng(0)
    return random.integers(0, 9, 200), random.integers(0, 12, (200, 9)) / 12


def test_counts_are_those_of_numpy_written_out(answers):
    targets, probabilities = answers
    best = best_classes(probabilities)
    accuracy = Accuracy.of(targets, best, 9)
    top1 = top5 = 0
    confusion = np.zeros((9, 9), int)
    for target, row in zip(targets, probabilities, strict=True):
        ranked = sorted(range(9), key=lambda index, row=row: (-row[index], index))
        top1 += ranked[0] == target
        top5 += target in ranked[:5]
        confusion[target, ranked[0]] += 1
    assert (accuracy.images, accuracy.unanswered) == (200, 0)
    assert accuracy.top1 == top1 / 200
    assert accuracy.top5 == top5 / 200
    np.testing.assert_array_equal(accuracy.confusion[:, :-1], confusion)
    assert [accuracy.class_images(i) for i in range(9)] == np.bincount(targets).tolist()
    assert [accuracy.class_hits(i) for i in range(9)] == confusion.diagonal().tolist()
    assert [accuracy.answered(i) for i in range(9)] == confusion.sum(axis=0).tolist()


def test_commonest_mistakes_come_first(answers):
    targets, probabilities = answers
    accuracy = Accuracy.of(targets, best_classes(probabilities), 9)
    found = accuracy.confused(5)
    assert [count for *_, count in found] == sorted((c for *_, c in found), reverse=True)
    assert all(i != j and accuracy.confusion[i, j] == count for i, j, count in found)
    right = Accuracy.of(targets, targets[:, None].astype(np.int32), 9)
    assert right.confused(5) == ()


def test_swapped_labels_are_seen(answers):
    targets, _ = answers
    best = targets[:, None].astype(np.int32)
    assert Accuracy.of(targets, best, 9).top1 == 1.0
    swapped = np.array([1, 0, *range(2, 9)])[targets]
    accuracy = Accuracy.of(swapped, best, 9)
    assert accuracy.top1 == np.mean(targets > 1)
    assert {found[:2] for found in accuracy.confused(9)} == {(0, 1), (1, 0)}


def test_what_is_not_finite_is_no_answer():
    probabilities = np.array([[0.1, 0.9], [np.nan, 0.9], [0.9, np.inf]])
    best = best_classes(probabilities)
    assert best.tolist() == [[1, 0], [NO_ANSWER] * 2, [NO_ANSWER] * 2]
    accuracy = Accuracy.of(np.array([1, 1, 1]), best, 2)
    assert (accuracy.images, accuracy.unanswered, accuracy.top1_hits) == (3, 2, 1)
    assert accuracy.top5 == 1 / 3
    paired = PairedCounts.of(np.array([1, 1, 1]), best, best)
    assert paired.agreement == 1 / 3


def test_targets_and_answers_must_be_as_many():
    with pytest.raises(ValueError, match="2 targets for 1 answers"):
        Accuracy.of(np.array([0, 1]), np.array([[0]], np.int32), 2)


# Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
@pytest.mark.parametrize(
    ("hits", "images", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_published_intervals(hits, images, low, high):
    found = wilson(hits, images)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    mirrored = wilson(images - hits, images)
    assert mirrored.low == pytest.approx(1 - found.high, abs=1e-15)  # the rounding of float64


@pytest.mark.parametrize(("hits", "images"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_what_is_no_share(hits, images):
    with pytest.raises(ValueError, match="hits on"):
        wilson(hits, images)


def test_mcnemar_gives_the_published_p_value():
    """Fay's exact2x2 package, mcnemar.exact(matrix(c(21, 9, 2, 12), 2, 2)): p = 0.06543."""
    assert round(mcnemar(2, 9), 5) == round(mcnemar(9, 2), 5) == 0.06543


def test_mcnemar_is_the_binomial_tail_written_out():
    for first, second in ((0, 0), (1, 0), (3, 3), (10, 25), (400, 460)):
        total = first + second
        tail = sum(math.comb(total, k) for k in range(min(first, second) + 1))
        assert mcnemar(first, second) == min(1.0, 2 * tail / 2**total)
    assert mcnemar(0, 5000) < 1e-300  # no overflow, no underflow to a wrong 1


def test_the_interval_of_a_drop_is_the_formula_written_out():
    found = drop_interval(9, 2, 44)
    drop, total = 7 / 46, 46
    reach = 1.959963984540054 * math.sqrt((12 / total - drop**2) / total)
    assert found.low == pytest.approx(drop - reach, rel=1e-12)
    assert found.high == pytest.approx(drop + reach, rel=1e-12)


def test_the_interval_of_a_drop_covers():
    """Of 4000 pairs of networks that differ by 2 points, 95 % at least have it in the interval."""
    random = np.random.default_rng(3)
    draws = random.multinomial(300, [0.05, 0.03, 0.92], size=4000)
    covered = 0
    for first, second, _ in draws:
        found = drop_interval(int(first), int(second), 300)
        covered += found.low <= 0.02 <= found.high
    assert covered / 4000 > 0.945  # 95 % less one and a half standard errors of 4000 draws


def test_paired_counts():
    targets = np.array([0, 1, 2, 0, 1])
    first = np.array([[0], [1], [2], [1], [0]], np.int32)
    second = np.array([[0], [0], [0], [0], [0]], np.int32)
    counts = PairedCounts.of(targets, first, second)
    assert counts == PairedCounts(images=5, same=2, only_first=2, only_second=1)
    assert counts.drop == pytest.approx(1 / 5)
    assert counts.agreement == 2 / 5


def test_a_class_is_lost_that_the_first_gives_rightly_on_eight_images():
    targets = np.repeat([0, 1, 2], [8, 7, 8])
    first = np.where(np.arange(23) == 20, 0, targets)[:, None]  # one of the last eight is wrong
    never = np.full((23, 1), 3)
    assert PairedCounts.of(targets, first, never).lost_classes == (0,)
    once = np.where(np.arange(23) == 22, 0, 3)[:, None]  # on an image of another class
    assert PairedCounts.of(targets, first, once).lost_classes == ()


@pytest.mark.parametrize(
    ("limit", "at_least", "at_most"),
    [
        (0.1, Verdict.PASS, Verdict.FAIL),
        (0.3, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
        (0.5, Verdict.FAIL, Verdict.PASS),
    ],
)
def test_a_gate_can_be_inconclusive(limit, at_least, at_most):
    interval = Interval(0.2, 0.4)
    assert judge_at_least(interval, limit) is at_least
    assert judge_at_most(interval, limit) is at_most


def test_one_output_has_two_classes():
    outputs = np.array([[0.2], [0.5], [0.7], [np.nan]])
    np.testing.assert_array_equal(best_classes(outputs), [[0, 1], [1, 0], [1, 0], [-1, -1]])
    np.testing.assert_array_equal(best_classes(outputs, 1)[:, 0], [0, 1, 1, -1])
    expected = [[0.8, 0.2], [0.5, 0.5], [1 - 0.7, 0.7], [np.nan, np.nan]]
    np.testing.assert_array_equal(class_probabilities(outputs), expected)
    np.testing.assert_array_equal(class_probabilities(np.eye(3)), np.eye(3))
