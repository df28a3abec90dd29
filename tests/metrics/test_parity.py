"""Metrics against figures worked out by hand."""

import json
import math

import numpy as np
import pytest

from vggexport.metrics.parity import (
    Comparison,
    centred_logits,
    compare,
    logits_of,
    sigmoid,
    softmax,
    sqnr_db,
)
from vggexport.network.head import HeadActivation

REFERENCE = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
CANDIDATE = np.array([[0.6, 0.3, 0.1], [0.1, 0.6, 0.3]])
# Errors -0.1, 0.1, 0 and 0, 0.3, -0.3: squares 0.02 + 0.18 = 0.2. Reference squares
# 0.49 + 0.04 + 0.01 + 0.01 + 0.09 + 0.36 = 1; candidate squares 0.46 + 0.46 = 0.92; their product
# 0.42 + 0.06 + 0.01 + 0.01 + 0.18 + 0.18 = 0.86.
EXACT = 1e-12
"""Relative: float64 arithmetic on a dozen numbers."""


def test_metrics_equal_those_worked_out_by_hand():
    metrics = compare(REFERENCE, CANDIDATE)
    assert metrics.max_abs == pytest.approx(0.3, rel=EXACT)
    assert metrics.rel_l2 == pytest.approx(math.sqrt(0.2), rel=EXACT)
    assert metrics.sqnr_db == pytest.approx(10 * math.log10(1 / 0.2), rel=EXACT)
    assert metrics.cosine == pytest.approx(0.86 / math.sqrt(0.92), rel=EXACT)
    assert metrics.top1_agreement == 0.5
    assert metrics.top5_agreement == 1.0  # three classes: all of them are among the best
    assert metrics.finite


def test_sqnr_of_logits_equals_the_one_worked_out_by_hand():
    reference, candidate = np.array([[0.5, 0.5]]), np.array([[0.8, 0.2]])
    third = np.array([[0.9, 0.1]])
    # Logits are (-log r, log r) / 2 with r the ratio of both: r = 1/4 against 1/9.
    expected = 10 * math.log10((math.log(4) / math.log(9 / 4)) ** 2)
    assert compare(candidate, third).logit_sqnr_db == pytest.approx(expected, rel=EXACT)
    assert compare(reference, candidate).logit_sqnr_db == -math.inf  # no signal, only noise


def test_softmax_sums_to_one_whatever_the_size_of_logits():
    logits = np.array([[1000.0, 1001.0], [-1000.0, -1000.0]])
    np.testing.assert_allclose(
        softmax(logits), [[1 / (1 + math.e), math.e / (1 + math.e)], [0.5, 0.5]], rtol=1e-6
    )


def test_logits_are_recovered_up_to_a_constant():
    logits = np.array([[3.0, -1.0, 1.0], [0.5, 0.25, 9.0]])
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    each_images_own = logits - np.array([[1.0], [3.25]])
    np.testing.assert_allclose(centred_logits(softmax), each_images_own, rtol=0, atol=1e-12)
    # An underflowed probability counts as a small one, not as an infinite logit.
    assert np.isfinite(centred_logits(np.array([[1.0, 0.0]]))).all()


def test_top5_agreement_counts_shared_classes_whatever_their_order():
    reference = np.array([[0.3, 0.25, 0.2, 0.15, 0.1, 0.0, 0.0]])
    reversed_best = np.array([[0.1, 0.15, 0.2, 0.25, 0.3, 0.0, 0.0]])
    two_others = np.array([[0.3, 0.25, 0.2, 0.0, 0.0, 0.15, 0.1]])
    assert compare(reference, reversed_best).top5_agreement == 1.0
    assert compare(reference, reversed_best).top1_agreement == 0.0
    assert compare(reference, two_others).top5_agreement == pytest.approx(3 / 5)


def test_top5_agreement_with_fewer_than_five_classes():
    assert compare(REFERENCE, CANDIDATE[:, ::-1]).top5_agreement == 1.0


def test_equal_arrays_have_infinite_sqnr_which_json_calls_null():
    metrics = compare(REFERENCE, REFERENCE.copy())
    assert (metrics.max_abs, metrics.rel_l2) == (0.0, 0.0)
    assert metrics.sqnr_db == metrics.logit_sqnr_db == math.inf
    assert metrics.cosine == pytest.approx(1.0, rel=EXACT)
    data = json.loads(json.dumps(metrics.to_json(), allow_nan=False))
    assert (data["sqnr_db"], data["logit_sqnr_db"], data["max_abs"]) == (None, None, 0.0)


def test_a_reference_of_zeros_can_be_compared():
    """In whole 256ths the probabilities of many classes may all be zero."""
    zeros = np.zeros((2, 300), np.float32)
    equal, other = compare(zeros, zeros), compare(zeros, zeros + 1 / 256)
    assert (equal.rel_l2, equal.sqnr_db) == (0.0, math.inf)
    assert (other.rel_l2, other.sqnr_db) == (math.inf, -math.inf)


def test_json_has_the_keys_of_the_contract():
    assert set(compare(REFERENCE, CANDIDATE).to_json()) == {
        "max_abs",
        "rel_l2",
        "sqnr_db",
        "logit_sqnr_db",
        "cosine",
        "top1_agreement",
        "top5_agreement",
    }


def test_float32_arrays_are_compared_in_float64():
    reference = np.full((1, 1000), 1e-3, np.float32)
    candidate = reference.copy()
    candidate[0, 0] += np.float32(1e-6)
    difference = float(candidate[0, 0]) - float(reference[0, 0])
    assert compare(reference, candidate).max_abs == difference


def test_batches_give_what_all_images_together_give():
    """The sums are those of a loop; in one batch the order of them differs, by some last bits."""
    comparison = Comparison()
    by_image = [
        float(comparison.add(REFERENCE[row : row + 1], CANDIDATE[row : row + 1])[0])
        for row in range(2)
    ]
    together = compare(REFERENCE, CANDIDATE).to_json()
    assert comparison.metrics().to_json() == pytest.approx(together, rel=EXACT)
    # 0.7, 0.2, 0.1 became 0.6, 0.3, 0.1; the second image's two best classes changed places.
    assert comparison.images == 2
    assert by_image[1] < by_image[0] < math.inf
    assert list(Comparison().add(REFERENCE, CANDIDATE)) == pytest.approx(by_image, rel=EXACT)


def test_equal_images_have_an_infinite_sqnr():
    assert list(Comparison().add(REFERENCE, REFERENCE)) == [math.inf, math.inf]


def test_a_nan_is_the_worst_image_and_stays_in_the_figures():
    comparison = Comparison()
    broken = CANDIDATE.copy()
    broken[0, 0] = np.nan
    by_image = [float(comparison.add(REFERENCE, c).min()) for c in (broken, CANDIDATE)]
    assert by_image[0] == -math.inf < by_image[1]
    assert math.isnan(comparison.metrics().max_abs)


def test_no_batches_give_no_metrics():
    with pytest.raises(ValueError, match="no images"):
        Comparison().metrics()


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (np.ones((2, 3)), np.ones((2, 4))),
        (np.ones((2, 3)), np.ones((1, 3))),  # would broadcast
        (np.ones(3), np.ones(3)),
        (np.ones((0, 3)), np.ones((0, 3))),
    ],
)
def test_shapes_that_cannot_be_compared_are_refused(reference, candidate):
    with pytest.raises(ValueError, match=r"of shape|no images"):
        compare(reference, candidate)


def test_sqnr_of_any_arrays():
    signal = np.array([3.0, 4.0])
    assert sqnr_db(signal, signal * 1.1) == pytest.approx(20.0, rel=1e-9)  # 1.1 is not exact
    assert sqnr_db(np.zeros(2), np.zeros(2)) == math.inf
    assert sqnr_db(np.zeros(2), np.ones(2)) == -math.inf
    assert math.isnan(sqnr_db(signal, np.array([np.nan, 4.0])))
    # Sums of squares beyond float32's range.
    assert sqnr_db(np.float32([1e30]), np.float32([1.1e30])) == pytest.approx(20.0, rel=1e-5)


def test_a_reference_without_signal_has_infinite_errors():
    """A full-integer file of many classes may round every probability to zero."""
    nothing, something = np.zeros((1, 4)), np.full((1, 4), 0.25)
    metrics = compare(nothing, something)
    assert (metrics.rel_l2, metrics.sqnr_db, metrics.to_json()["rel_l2"]) == (
        math.inf,
        -math.inf,
        None,
    )
    assert compare(nothing, nothing).rel_l2 == 0


def test_of_a_sigmoid_logits_and_agreement_are_each_outputs_own():
    logits = np.array([[2.0, -1.0], [0.5, 3.0], [-4.0, 0.25]])
    moved = logits - np.array([[0, 0], [1, 0], [0, 0]])  # one output to the other side
    metrics = compare(sigmoid(logits), sigmoid(moved), HeadActivation.SIGMOID)
    assert metrics.top1_agreement == 5 / 6
    assert metrics.logit_sqnr_db == pytest.approx(10 * np.log10((logits**2).sum()), abs=1e-4)
    np.testing.assert_allclose(
        logits_of(sigmoid(logits), HeadActivation.SIGMOID), logits, rtol=0, atol=1e-5
    )


def test_one_output_of_a_sigmoid_that_is_turned_round_does_not_pass():
    """Taken for a softmax, one output has no logits at all, and always the same best class."""
    logits = np.array([[2.0], [-1.0]])
    metrics = compare(sigmoid(logits), sigmoid(-logits), HeadActivation.SIGMOID)
    assert metrics.top1_agreement == 0
    assert metrics.logit_sqnr_db == pytest.approx(-6.02, abs=0.01)


def test_certain_outputs_of_a_sigmoid_have_finite_logits():
    certain = np.array([[0.0, 1.0]], np.float32)
    assert np.isfinite(logits_of(certain, HeadActivation.SIGMOID)).all()


def test_what_float32_cannot_tell_near_1_is_no_difference():
    """Two runtimes, the last bit of each probability apart, up to logits of 15."""
    one = sigmoid(np.linspace(-15, 15, 61).reshape(1, -1))
    other = np.nextafter(one, np.float32(0))
    assert compare(one, other, HeadActivation.SIGMOID).logit_sqnr_db > 80
    assert (
        compare(
            one, sigmoid(np.linspace(-15, 14, 61).reshape(1, -1)), HeadActivation.SIGMOID
        ).logit_sqnr_db
        < 40
    )
