import numpy as np
import pytest

from calibration.errors import CalibrationDataError
from calibration.synthetic import SPECTRUM_EXPONENTS, _fill_disk, _texture, synthetic_image

SIZE = 64


@pytest.fixture(scope="module")
def images():
    return np.stack([synthetic_image(0, index, SIZE) for index in range(24)])


def amplitude_slope(plane):
    """Exponent a of the amplitude 1/f^a of a square plane, fitted on the logarithms."""
    size = len(plane)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    used = (frequency > 0.03) & (frequency < 0.45)
    amplitude = np.abs(np.fft.fft2(plane))
    return -np.polyfit(np.log(frequency[used]), np.log(amplitude[used]), 1)[0]


@pytest.mark.parametrize("size", [1, 2, 33, SIZE])
def test_shape_and_dtype(size):
    image = synthetic_image(0, 0, size)
    assert (image.shape, image.dtype) == ((size, size, 3), np.uint8)


def test_equal_arguments_give_equal_images():
    np.testing.assert_array_equal(synthetic_image(1, 2, SIZE), synthetic_image(1, 2, SIZE))


def test_seed_and_index_make_other_images():
    images = [synthetic_image(*key, SIZE).tobytes() for key in [(0, 0), (0, 1), (1, 0), (1, 1)]]
    assert len(set(images)) == 4


def test_a_negative_seed_is_refused():
    with pytest.raises(CalibrationDataError, match="seed -3"):
        synthetic_image(-3, 0, SIZE)


def test_amplitude_of_the_texture_falls_like_a_power_of_the_frequency():
    textures = [_texture(np.random.default_rng(seed), 128, 128) for seed in range(24)]
    slopes = np.array([amplitude_slope(texture[..., 0]) for texture in textures])
    low, high = SPECTRUM_EXPONENTS
    assert np.all((slopes > low - 0.1) & (slopes < high + 0.1))
    assert np.ptp(slopes) > (high - low) / 2


def test_amplitude_of_whole_images_falls(images):
    slopes = [amplitude_slope(image.mean(axis=-1)) for image in images]
    assert 0.8 < np.mean(slopes) < 1.5


def test_luminance_varies_most_then_yellow_blue_then_red_green(images):
    red, green, blue = np.moveaxis(images.astype(float), -1, 0)
    luminance = ((red + green + blue) / 3).std(axis=(1, 2)).mean()
    yellow_blue = ((red + green) / 2 - blue).std(axis=(1, 2)).mean()
    red_green = (red - green).std(axis=(1, 2)).mean()
    assert luminance > 2 * yellow_blue > 2 * red_green > 0


def test_mean_and_contrast_differ_between_images(images):
    assert np.ptp(images.mean(axis=(1, 2, 3))) > 50
    assert np.ptp(images.std(axis=(1, 2, 3))) > 20


def test_a_disk_hides_what_is_below_it():
    canvas = np.ones((20, 20, 3), np.float32)
    _fill_disk(canvas, 8.0, 11.0, 5.0, np.array([2.0, 3.0, 4.0]))
    rows, columns = np.mgrid[:20, :20]
    inside = np.hypot(rows - 8, columns - 11) <= 5
    assert np.all(canvas[inside] == (2, 3, 4))
    assert np.all(canvas[~inside] == 1)


def test_a_disk_may_reach_over_the_border():
    canvas = np.zeros((10, 10, 3), np.float32)
    _fill_disk(canvas, 0.5, 9.5, 3.0, np.ones(3))
    rows, columns = np.mgrid[:10, :10]
    np.testing.assert_array_equal(canvas[..., 0] == 1, np.hypot(rows - 0.5, columns - 9.5) <= 3)


def test_edges_make_gradients_heavier_tailed_than_gaussian(images):
    gradients = np.diff(images[..., 1].astype(float), axis=1).reshape(len(images), -1)
    gradients /= gradients.std(axis=1, keepdims=True)
    kurtosis = (gradients**4).mean(axis=1)
    assert np.median(kurtosis) > 3.3  # 3 for Gaussian noise
