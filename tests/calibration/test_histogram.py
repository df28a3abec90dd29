import numpy as np
import pytest

from calibration.errors import CalibrationDataError
from calibration.histogram import SIDE_BINS, Extremes, StreamingHistogram


def histogram_of(*batches):
    histogram = StreamingHistogram()
    for batch in batches:
        histogram.observe(np.asarray(batch, np.float32))
    return histogram


def normal(size, scale=1.0, seed=0):
    return (np.random.default_rng(seed).standard_normal(size) * scale).astype(np.float32)


def test_extremes_run():
    extremes = Extremes()
    for batch in ([1.0, 5.0], [2.0], []):
        extremes.observe(np.array(batch, np.float32))
    assert (extremes.low, extremes.high) == (1.0, 5.0)
    assert extremes.range() == (0.0, 5.0)


def test_extremes_of_nothing_are_refused():
    extremes = Extremes()
    extremes.observe(np.array([], np.float32))
    with pytest.raises(CalibrationDataError, match="no activations were observed: run"):
        _ = extremes.range()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_and_change_nothing(value):
    histogram = histogram_of([1.0])
    with pytest.raises(CalibrationDataError, match=f"{value}.*finite values were expected"):
        histogram.observe(np.array([0.5, value], np.float32))
    assert histogram.total == 1
    assert (histogram.extremes.low, histogram.extremes.high) == (1.0, 1.0)


@pytest.mark.parametrize("scale", [1e-20, 0.003, 1.0, 77.0, 1e30])
def test_counts_are_those_of_numpy(scale):
    values = normal(20_000, scale)
    histogram = histogram_of(values)
    expected, _ = np.histogram(values.astype(np.float64), bins=histogram.edges)
    # Values within 1/2048 of a bin below an edge may be counted above it.
    assert np.abs(histogram.counts - expected).max() <= 1
    assert np.abs(np.cumsum(histogram.counts - expected)).max() <= 1
    assert histogram.total == len(values)


def test_values_on_the_edges_are_counted_in_the_bin_that_begins_there():
    histogram = histogram_of(np.arange(-4000, 4001))
    assert histogram.width == 1
    expected = np.zeros(2 * SIDE_BINS, int)
    expected[SIDE_BINS - 4000 : SIDE_BINS + 4001] = 1
    np.testing.assert_array_equal(histogram.counts, expected)


@pytest.mark.parametrize("peak", [1.0, 1.999, 4095.0, 4095.5, 4096.0, 3.4e38, 1e-25])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_farther_side_uses_at_least_half_of_its_bins(peak, sign):
    histogram = histogram_of([sign * peak])
    assert (SIDE_BINS - 1) / 2 < peak / histogram.width <= SIDE_BINS - 1
    assert histogram.total == 1


def test_only_positive_values_have_as_many_bins_as_the_positive_side_of_mixed_ones():
    assert histogram_of([0.0, 3.0]).width == histogram_of([-3.0, 3.0]).width


@pytest.mark.parametrize("scales", [(1, 8, 1000), (1000, 8, 1), (8, 1000, 1)])
def test_order_and_batches_do_not_matter(scales):
    batches = {scale: normal(5000, scale, seed=scale) for scale in (1, 8, 1000)}
    together = histogram_of(np.concatenate(list(batches.values())))
    apart = histogram_of(*(batches[scale] for scale in scales))
    assert apart.width == together.width
    # Merged bins and wide bins round differently at their edges.
    assert np.abs(np.cumsum(apart.counts - together.counts)).max() <= 5


def test_growing_merges_neighbours():
    histogram = histogram_of([1.0, 2.0, 3.0, -1.0, -2.0, 4000.0], [8000.0])
    assert histogram.width == 2
    assert histogram.counts[SIDE_BINS - 1] == 2  # -2 and -1
    assert histogram.counts[SIDE_BINS] == 1  # 1
    assert histogram.counts[SIDE_BINS + 1] == 2  # 2 and 3
    assert histogram.total == 7


def test_memory_does_not_grow():
    histogram = StreamingHistogram()
    for power in range(30):
        histogram.observe(normal(1000, 3.0**power, seed=power))
        assert histogram.counts.shape == (2 * SIDE_BINS,)
        assert set(vars(histogram)) == {"counts", "width", "zeros", "extremes"}
    assert histogram.total == 30_000


def test_zeros_are_counted_apart_and_among_all():
    histogram = histogram_of([0.0, -0.0, 1.0], [0.0])
    assert histogram.zeros == 3
    assert histogram.counts[SIDE_BINS] == 3
    assert histogram.total == 4


def test_more_values_than_one_chunk_in_any_shape():
    values = normal(200_000).reshape(2, 100, 1000)
    assert histogram_of(values).total == 200_000
    np.testing.assert_array_equal(
        histogram_of(values.transpose(2, 0, 1)).counts, histogram_of(values).counts
    )


def test_values_of_float32_at_the_top_of_the_last_bin_fit():
    peak = np.nextafter(np.float32(4095), np.float32(0))
    assert histogram_of([peak, -peak, 4095.0, -4095.0]).total == 4


def test_centres_are_between_edges():
    histogram = histogram_of([5.0])
    np.testing.assert_allclose(histogram.centres, (histogram.edges[1:] + histogram.edges[:-1]) / 2)
