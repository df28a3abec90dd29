import math

import numpy as np
import pytest

from calibration.errors import CalibrationDataError
from calibration.histogram import SIDE_BINS
from calibration.observers import (
    DEFAULT_METHOD,
    OBSERVERS,
    EntropyObserver,
    Extremes,
    MSEObserver,
    PercentileObserver,
    divergence,
    make_observer,
)

METHODS = ("minmax", "percentile", "entropy", "mse")
CLIPPING = METHODS[1:]


def random(seed=0):
    return np.random.default_rng(seed)


def float32(values):
    return np.asarray(values, np.float32)


def range_of(observer, *batches):
    for batch in batches:
        observer.observe(float32(batch))
    return observer.range()


def quantization_error(values, low, high):
    """Mean squared error of values quantized to 256 levels, done value by value."""
    step = (high - low) / 255
    zero_point = round(-low / step)
    levels = np.clip(np.rint(values / step) + zero_point, 0, 255)
    return float(np.mean((values - (levels - zero_point) * step) ** 2))


DISTRIBUTIONS = {
    "normal": lambda: random().standard_normal(40_000),
    "laplace": lambda: random(1).laplace(0.5, 2, 40_000),
    "relu": lambda: np.maximum(random(2).standard_normal(40_000) - 0.5, 0),
    "negative": lambda: -random(3).gamma(2, 3, 40_000),
    "heavy": lambda: random(4).standard_t(3, 40_000),
    "uniform": lambda: random(5).uniform(-1, 3, 40_000),
}


@pytest.fixture(params=DISTRIBUTIONS)
def values(request):
    return float32(DISTRIBUTIONS[request.param]())


def test_the_methods():
    assert tuple(OBSERVERS) == METHODS
    assert DEFAULT_METHOD == "minmax"
    assert [type(make_observer(method)) for method in METHODS] == [
        Extremes,
        PercentileObserver,
        EntropyObserver,
        MSEObserver,
    ]


def test_each_observer_is_new():
    assert make_observer("mse") is not make_observer("mse")


def test_an_unknown_method_is_refused():
    with pytest.raises(
        CalibrationDataError,
        match="method 'max' is unknown: choose from minmax, percentile, entropy, mse",
    ):
        make_observer("max")


@pytest.mark.parametrize("method", METHODS)
class TestEveryObserver:
    def test_the_range_is_finite_has_zero_and_is_no_wider_than_the_values(self, method, values):
        low, high = range_of(make_observer(method), values)
        assert min(float(values.min()), 0) <= low <= 0 <= high <= max(float(values.max()), 0)
        assert high > low
        assert type(low) is type(high) is float

    def test_batches_give_the_range_of_all_values(self, method, values):
        parts = np.split(values, 8)
        parts.sort(key=lambda part: float(np.abs(part).max()))
        together = make_observer(method)
        expected = range_of(together, values)
        # Bins that were merged as the range grew may have rounded differently at their edges.
        tolerance = float(np.ptp(values)) / 100 if method in CLIPPING else 0
        assert range_of(make_observer(method), *parts) == pytest.approx(expected, abs=tolerance)

    def test_the_shape_of_a_batch_does_not_matter(self, method):
        batch = float32(random().standard_normal((2, 5, 7, 11)))
        assert range_of(make_observer(method), batch) == range_of(
            make_observer(method), batch.transpose(3, 1, 0, 2)
        )

    def test_the_range_can_be_asked_for_between_batches(self, method):
        observer = make_observer(method)
        first = range_of(observer, random().uniform(0, 1, 5000))
        second = range_of(observer, random().uniform(-9, 9, 50_000))
        assert first[0] == 0
        assert second[0] < -7
        assert second[1] > 7

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_values_that_are_not_finite_are_refused(self, method, value):
        with pytest.raises(CalibrationDataError, match="finite values were expected"):
            make_observer(method).observe(float32([1, value, 2]))

    def test_a_range_of_nothing_is_refused(self, method):
        observer = make_observer(method)
        observer.observe(float32([]))
        with pytest.raises(CalibrationDataError, match="no activations were observed"):
            observer.range()

    def test_zeros(self, method):
        assert range_of(make_observer(method), np.zeros(100)) == (0.0, 0.0)

    def test_zeros_first(self, method):
        low, high = range_of(make_observer(method), np.zeros(9), random().uniform(0, 2, 50_000))
        assert low == 0
        assert high == pytest.approx(2, rel=0.02)

    @pytest.mark.parametrize(("value", "expected"), [(5, (0, 5)), (-5, (-5, 0))])
    def test_a_single_value(self, method, value, expected):
        assert range_of(make_observer(method), [value]) == pytest.approx(expected, rel=0.02)

    @pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e30])
    def test_extreme_magnitudes(self, method, scale):
        low, high = range_of(make_observer(method), random().uniform(-1, 1, 20_000) * scale)
        assert (low / scale, high / scale) == pytest.approx((-1, 1), abs=0.05)


@pytest.mark.parametrize(
    ("batches", "expected"),
    [(([1, 2], [-3, 0.5]), (-3, 2)), (([1, 2],), (0, 2)), (([-1, -2],), (-2, 0))],
)
def test_minmax(batches, expected):
    assert range_of(Extremes(), *batches) == expected


@pytest.mark.parametrize("percentile", [99.99, 99.9, 99, 90, 100])
def test_percentile_is_within_a_bin_of_numpys(values, percentile):
    observer = PercentileObserver(percentile)
    low, high = range_of(observer, values)
    expected = np.percentile(values, [100 - percentile, percentile], method="inverted_cdf")
    width = observer.width
    assert low == pytest.approx(min(expected[0], 0), abs=width)
    assert high == pytest.approx(max(expected[1], 0), abs=width)


def test_percentile_leaves_outliers_out_at_both_ends():
    values = random().uniform(-1, 1, 100_000)
    values[:4] = 50, 60, -70, -80
    low, high = range_of(PercentileObserver(99.99), values)
    assert (low, high) == pytest.approx((-1, 1), abs=0.05)


def test_percentile_that_would_clip_all_but_zeros_keeps_the_extremes():
    values = np.zeros(100_000)
    values[:3] = 5
    assert range_of(PercentileObserver(), values) == (0, 5)


def test_the_default_percentile():
    assert make_observer("percentile").percentile == 99.999


@pytest.mark.parametrize("percentile", [50, 100.1, -1, float("nan")])
def test_a_percentile_out_of_range_is_refused(percentile):
    with pytest.raises(CalibrationDataError, match="pass a number above 50 and up to 100"):
        PercentileObserver(percentile)


def test_mse_range_is_as_good_as_the_best_by_brute_force(values):
    low, high = range_of(MSEObserver(), values)
    lows = np.linspace(min(float(values.min()), 0), 0, 24, endpoint=False) if low < 0 else [0.0]
    highs = np.linspace(max(float(values.max()), 0), 0, 24, endpoint=False) if high > 0 else [0.0]
    raw = values.astype(np.float64)
    best = min(quantization_error(raw, a, b) for a in lows for b in highs)
    assert quantization_error(raw, low, high) <= best * 1.05


def test_mse_clips_where_that_pays():
    values = float32(random().standard_t(2.5, 40_000))
    observer = MSEObserver()
    low, high = range_of(observer, values)
    clipped = quantization_error(values.astype(np.float64), low, high)
    assert clipped < 0.95 * quantization_error(
        values.astype(np.float64), float(values.min()), float(values.max())
    )


def test_mse_does_not_charge_exact_zeros_for_rounding():
    values = random().exponential(1, 4000)
    with_zeros = np.concatenate([values, np.zeros(400_000)])
    assert range_of(MSEObserver(), with_zeros) == range_of(MSEObserver(), values)


def test_mse_drops_a_side_that_costs_more_than_it_gives():
    values = np.concatenate([random().uniform(0, 1, 100_000), [-1e-4]])
    assert range_of(MSEObserver(), values)[0] == pytest.approx(0, abs=1e-4)


def plain_divergence(counts, first, last):
    """Migacz' algorithm in plain Python: clip, quantize, expand, compare."""
    inside = list(counts[first:last])
    reference = list(inside)
    reference[0] += sum(counts[:first])
    reference[-1] += sum(counts[last:])
    groups = {}
    for position, count in enumerate(inside):
        groups.setdefault(position * 256 // len(inside), []).append(count)
    quantized = []
    for group in groups.values():
        occupied = [count for count in group if count]
        quantized += [sum(group) / len(occupied) if count else 0 for count in group]
    quantized = [q or 1 if p else 0 for p, q in zip(reference, quantized, strict=True)]
    p_sum, q_sum = sum(reference), sum(quantized)
    return sum(
        p / p_sum * math.log((p / p_sum) / (q / q_sum))
        for p, q in zip(reference, quantized, strict=True)
        if p
    )


@pytest.mark.parametrize(
    ("first", "last"), [(0, 1000), (0, 256), (100, 900), (300, 655), (999, 1000), (17, 1000)]
)
def test_divergence_is_that_of_the_plain_algorithm(first, last):
    counts = random().poisson(2, 1000).astype(np.float64)
    assert divergence(counts, first, last) == pytest.approx(plain_divergence(counts, first, last))


def test_divergence_is_zero_where_nothing_is_lost():
    assert divergence(np.full(1024, 3.0), 0, 1024) == pytest.approx(0, abs=1e-12)
    assert divergence(random().poisson(9, 256) + 1.0, 0, 256) == pytest.approx(0, abs=1e-12)


def test_divergence_counts_values_clipped_into_an_empty_bin():
    counts = np.zeros(512)
    counts[:200] = 10
    counts[500] = 3
    p = np.array([10] * 200 + [3]) / 2003
    q = np.array([10] * 200 + [1]) / 2001
    assert divergence(counts, 0, 300) == pytest.approx(np.sum(p * np.log(p / q)))


def test_divergence_of_a_range_without_values_is_infinite():
    counts = np.zeros(512)
    counts[500] = 3
    assert divergence(counts, 0, 300) == np.inf


def test_entropy_range_is_the_best_of_those_with_all_of_the_plain_algorithm():
    values = float32(np.abs(random().standard_t(4, 30_000)))
    observer = EntropyObserver()
    _, high = range_of(observer, values)
    counts = observer.counts.astype(float)
    last = round(high / observer.width) + SIDE_BINS
    chosen = plain_divergence(counts, SIDE_BINS, last)
    for other in range(SIDE_BINS + 256, int(np.flatnonzero(counts)[-1]) + 2, 97):
        assert chosen <= plain_divergence(counts, SIDE_BINS, other) * 1.05


def test_entropy_leaves_outliers_out():
    values = random().standard_normal(100_000)
    values[0] = 60
    low, high = range_of(EntropyObserver(), values)
    assert -5 < low < -2.5
    assert 2.5 < high < 8


def test_entropy_takes_the_widest_of_equally_good_ranges():
    assert range_of(EntropyObserver(), [1, 5]) == (0, 5)


def test_entropy_keeps_a_uniform_distribution():
    low, high = range_of(EntropyObserver(), random().uniform(-1, 3, 100_000))
    assert (low, high) == pytest.approx((-1, 3), abs=0.02)


def test_entropy_is_not_misled_by_the_zeros_of_a_relu():
    values = random().exponential(1, 20_000)
    with_zeros = np.concatenate([values, np.zeros(400_000)])
    assert range_of(EntropyObserver(), with_zeros) == range_of(EntropyObserver(), values)
