"""Ranges observed from a reader that gives what the test says."""

import numpy as np
import pytest

from calibration import CalibrationDataError
from vggexport.quantization.calibrate import observe_growing
from vggexport.quantization.ranges import observed_layers


class FakeReader:
    """Layer i of image n gives values from -n to 10 n + i; remembers what it was asked."""

    def __init__(self) -> None:
        self.calls = []

    def __call__(self, images, names):
        names = list(names)
        self.calls.append((images, names))
        number = float(images[0, 0, 0, 0])
        return {name: np.float32([[-number, 10 * number + i, 0.5]]) for i, name in enumerate(names)}


def observed(*arguments) -> dict[str, tuple[float, float]]:
    *_, last = observe_growing(*arguments)
    return last()


def pictures(*numbers: int) -> list[np.ndarray]:
    return [np.full((16, 16, 3), number, np.uint8) for number in numbers]


def test_minmax_ranges_span_all_images(tiny):
    ranges = observed(FakeReader(), tiny, pictures(3, 7, 5), "minmax")
    assert ranges == {name: (-7.0, 70.0 + i) for i, name in enumerate(observed_layers(tiny))}


def test_the_reader_gets_one_image_at_a_time_and_the_observed_layers(tiny):
    reader = FakeReader()
    observed(reader, tiny, pictures(1, 2), "minmax")
    shapes = [(images.shape, images.dtype) for images, _ in reader.calls]
    assert shapes == [((1, 16, 16, 3), np.uint8)] * 2
    assert [names for _, names in reader.calls] == [list(observed_layers(tiny))] * 2


def test_images_are_taken_when_they_are_needed(tiny):
    reader, seen = FakeReader(), []

    def lazily():
        for number, picture in enumerate(pictures(1, 2, 3)):
            seen.append(len(reader.calls) == number)
            yield picture

    observed(reader, tiny, lazily(), "minmax")
    assert seen == [True] * 3


@pytest.mark.parametrize("method", ["percentile", "entropy", "mse"])
def test_other_methods_clip_within_the_extremes(tiny, method):
    random = np.random.default_rng(0)

    def heavy_tailed(_images, names):
        return {name: random.standard_t(2, 300_000).astype(np.float32) for name in names}

    ranges = observed(heavy_tailed, tiny, pictures(1), method)
    random = np.random.default_rng(0)
    for low, high in ranges.values():
        values = random.standard_t(2, 300_000)
        assert values.min() < low < 0 < high < values.max()


def test_an_unknown_method_is_refused(tiny):
    with pytest.raises(CalibrationDataError, match="average"):
        observed(FakeReader(), tiny, pictures(1), "average")


def test_an_activation_that_is_not_finite_is_refused(tiny):
    def broken(_images, names):
        return {name: np.float32([np.nan]) for name in names}

    with pytest.raises(CalibrationDataError):
        observed(broken, tiny, pictures(1), "minmax")
