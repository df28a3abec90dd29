"""Loops on a made-up clock, so that every figure is exact; ratios of made-up timings."""

import numpy as np
import pytest

from vggexport.metrics import latency_ratio
from vggexport.metrics.latency_ratio import (
    Ratio,
    judge,
    paired_ratio,
    student_quantile,
    unpaired_ratio,
)
from vggexport.metrics.verdict import Verdict


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [
        (1, 12.7062),
        (2, 4.30265),
        (3, 3.18245),
        (4, 2.776445),
        (5, 2.570582),
        (19, 2.093024),
        (10**6, 1.959966),
    ],
)
def test_students_quantile(freedom, quantile):
    assert student_quantile(freedom) == pytest.approx(quantile, rel=4e-4)


def timed(random, *, launches=5, rounds=4, luck=0.0, drift=None, factor=1.0):
    """Launches of about 100 ms, each with its luck; the machine drifts by a factor a round."""
    drift = np.ones(launches * rounds) if drift is None else drift
    states = drift.reshape(launches, rounds) * random.normal(1, luck, (launches, 1))
    return [[list(100 * factor * s * random.normal(1, 0.005, 4)) for s in row] for row in states]


@pytest.mark.parametrize("launches", [1, 5])
def test_a_paired_ratio_does_not_see_what_hits_both(launches):
    random = np.random.default_rng(0)
    shape = {"launches": launches, "rounds": 20 // launches, "drift": np.linspace(1, 2, 20)}
    ratio = paired_ratio(timed(random, **shape), timed(random, **shape, factor=1.1))
    assert ratio.value == pytest.approx(1.1, rel=0.01)
    assert ratio.low < 1.1 < ratio.high
    assert ratio.high - ratio.low < 0.06  # of timings that differ by a factor of two


def test_an_unpaired_ratio_does():
    random, drift = np.random.default_rng(0), np.linspace(1, 2, 20)
    ratio = unpaired_ratio(timed(random, drift=drift), timed(random, drift=drift))
    assert ratio.high - ratio.low > 0.3


@pytest.mark.parametrize("make", [paired_ratio, unpaired_ratio])
@pytest.mark.parametrize(("launches", "luck"), [(5, 0.01), (5, 0.0), (1, 0.0)])
def test_the_interval_of_equals_contains_one(make, launches, luck):
    """As often as it says.

    95 % of 100 is 95; fewer than 88 have a probability of 2e-3. Percentiles of the draws would be
    in 92 % of cases near enough for 5 launches.
    """
    random = np.random.default_rng(1)
    shape = {"launches": launches, "rounds": 20 // launches, "luck": luck}
    trials = 100 if launches > 1 else 30
    ratios = [make(timed(random, **shape), timed(random, **shape)) for _ in range(trials)]
    hits = sum(ratio.low <= 1 <= ratio.high for ratio in ratios)
    assert hits >= 0.88 * trials


def test_one_launch_does_not_know_of_the_luck_of_launches():
    """The reason for several: with one, an interval of equals misses 1 most of the time."""
    random = np.random.default_rng(1)
    shape = {"launches": 1, "rounds": 20, "luck": 0.01}
    ratios = [paired_ratio(timed(random, **shape), timed(random, **shape)) for _ in range(30)]
    assert sum(ratio.low <= 1 <= ratio.high for ratio in ratios) < 15


@pytest.mark.parametrize("launches", [1, 5])
def test_what_is_drawn_is_drawn_whole(launches):
    """Repeating each run of a round adds nothing that is known."""
    random = np.random.default_rng(2)
    one, two = (random.normal(100, 5, (launches, 20)) for _ in range(2))
    few = unpaired_ratio(one[..., None].tolist(), two[..., None].tolist())
    many = unpaired_ratio(*(np.repeat(x[..., None], 10, axis=2).tolist() for x in (one, two)))
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.2)


@pytest.mark.parametrize("rounds", [6, 7])
@pytest.mark.parametrize("at_once", [1, 50, 10**6])
def test_what_is_drawn_has_the_median_of_its_timings(monkeypatch, rounds, at_once):
    """Of an even and an odd number, however many draws are in memory together."""
    monkeypatch.setattr(latency_ratio, "AT_ONCE", at_once)
    random = np.random.default_rng(4)
    timings, drawn = random.normal(100, 5, (rounds, 3)), random.integers(0, rounds, (11, rounds))
    expected = [np.log(np.median(timings[row])) for row in drawn]
    found = latency_ratio._Medians([timings.tolist()]).logs_of(drawn)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_same_seed_gives_the_same_interval():
    random = np.random.default_rng(3)
    one, two = (timed(random, launches=1, rounds=20) for _ in range(2))
    assert paired_ratio(one, two) == paired_ratio(one, two)
    assert paired_ratio(one, two) != paired_ratio(one, two, seed=1)


@pytest.mark.parametrize(
    ("launches", "rounds", "has_interval"),
    [(1, 4, False), (1, 5, True), (4, 1, True), (2, 3, True), (5, 1, True)],
)
@pytest.mark.parametrize("make", [paired_ratio, unpaired_ratio])
def test_too_few_launches_and_rounds_give_no_interval(make, launches, rounds, has_interval):
    one, two = ([[[ms]] * rounds] * launches for ms in (1.0, 2.0))
    ratio = make(one, two)
    assert ratio.value == pytest.approx(2.0)
    assert (ratio.low is not None) is has_interval
    if has_interval:
        assert ratio.to_json()["ratio_ci95"] == pytest.approx([2.0, 2.0])
    else:
        assert ratio.to_json() == {"ratio_p50": ratio.value, "ratio_ci95": None}


def test_the_interval_of_few_launches_is_students():
    """Ratios 1.0, 1.1 and 1.21: the mean of their logarithms is log 1.1, the deviation log 1.1."""
    base, other = [[[1.0]]] * 3, [[[1.0]], [[1.1]], [[1.21]]]
    reach = 1.1 ** (4.30265 / 3**0.5)
    for make in (paired_ratio, unpaired_ratio):  # the base does not vary
        assert make(base, other).value == pytest.approx(1.1)
        assert make(base, other).interval == pytest.approx((1.1 / reach, 1.1 * reach), rel=1e-4)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.99, 1.01, Verdict.PASS),
        (1.04, 1.05, Verdict.PASS),
        (1.04, 1.06, Verdict.INCONCLUSIVE),
        (1.05, 1.10, Verdict.INCONCLUSIVE),
        (1.051, 1.10, Verdict.FAIL),
        (None, None, Verdict.INCONCLUSIVE),
    ],
)
def test_the_interval_decides_and_not_the_ratio(low, high, verdict):
    assert judge(Ratio(9.9, low, high), 0.05) is verdict
