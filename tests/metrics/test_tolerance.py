"""Verdicts on metrics, and what they say."""

import dataclasses

import numpy as np
import pytest

from vggexport.metrics.parity import compare, softmax
from vggexport.metrics.tolerance import Tolerance
from vggexport.precision import Precision

REFERENCE = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
CANDIDATE = np.array([[0.6, 0.3, 0.1], [0.1, 0.6, 0.3]])


def test_equal_arrays_pass_whatever_is_asked_for():
    metrics = compare(REFERENCE, REFERENCE.copy())
    assert Tolerance("equal", max_abs=0.0, min_logit_sqnr_db=1000.0).violations(metrics) == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "tolerance",
    [
        Tolerance("no limits"),
        Tolerance("limits", max_abs=1e9, min_logit_sqnr_db=-1e9),
    ],
)
def test_nan_and_infinity_never_pass(value, tolerance):
    candidate = CANDIDATE.copy()
    candidate[1, 2] = value
    metrics = compare(REFERENCE, candidate)
    assert not metrics.finite
    assert tolerance.violations(metrics)[0] == "NaN or infinity in the output"
    assert metrics.to_json()["max_abs"] is None


def test_nan_violates_every_limit():
    candidate = np.full_like(CANDIDATE, np.nan)
    limits = Tolerance("limits", 1e9, -1e9, min_sqnr_db=-1e9)
    assert len(limits.violations(compare(REFERENCE, candidate))) == 4


def test_violations_name_the_value_and_the_limit():
    metrics = compare(REFERENCE, CANDIDATE)
    tolerance = Tolerance("strict", 0.05, 30.0, min_sqnr_db=7.0, min_top1_agreement=0.51)
    assert tolerance.violations(metrics) == (
        "max abs 0.3 is above 0.05",
        f"SQNR of the logits {metrics.logit_sqnr_db:.1f} dB is below 30 dB",
        "SQNR of the probabilities 7.0 dB is below 7 dB",
        "top-1 agreement 50.00% is below 51.00%",
    )


def test_logits_are_told_as_far_as_256ths_tell_them():
    """Of ln(2 / 512) and ln(1 / 512), which a probability of nothing counts as."""
    reference, candidate = np.array([[510, 2, 0]]) / 512, np.array([[510, 0, 2]]) / 512
    signal = np.log([510, 2, 1]) - np.log([510, 2, 1]).mean()
    least = 10 * np.log10(np.sum(signal**2) / (2 * np.log(2) ** 2))
    metrics = compare(reference, candidate)
    assert metrics.coarse_logit_sqnr_db == pytest.approx(least)
    assert metrics.logit_sqnr_db < 0
    assert Tolerance("just", min_coarse_logit_sqnr_db=least - 1e-9).violations(metrics) == ()
    assert Tolerance("strict", min_coarse_logit_sqnr_db=40.0).violations(metrics) == (
        f"SQNR of the logits in 256ths {least:.1f} dB is below 40 dB",
    )


def test_a_limit_that_is_just_reached_passes():
    metrics = compare(REFERENCE, CANDIDATE)
    exact = Tolerance(
        "exact", metrics.max_abs, metrics.logit_sqnr_db, metrics.sqnr_db, metrics.top1_agreement
    )
    assert exact.violations(metrics) == ()
    assert Tolerance("unset").violations(metrics) == ()


def test_a_tolerance_is_told_with_its_reason():
    assert Tolerance("because", max_abs=0.5).to_json() == {
        "max_abs": 0.5,
        "min_logit_sqnr_db": None,
        "min_sqnr_db": None,
        "min_top1_agreement": None,
        "reason": "because",
    }


def test_logits_that_are_nearly_equal_have_no_signal_to_be_held_to():
    """A healthy file has 77 dB where 80 are demanded, and no probability is off by 1e-7."""
    logits = np.random.default_rng(0).normal(0, 1e-3, (4, 5))
    expected = softmax(logits).astype(np.float64)
    metrics = compare(expected, expected * (1 + np.array([2e-7, 0, -2e-7, 0, 1e-7])))
    assert metrics.logit_sqnr_db < 80
    float32 = Precision.FLOAT32.profile.tolerance
    assert float32.violations(metrics) == ()
    assert dataclasses.replace(float32, negligible_logit_error=None).violations(metrics)
