"""Random crops: where they lie, how large they are, and that they repeat."""

import numpy as np
import pytest
from PIL import Image

from calibration.augmentation import random_crop
from calibration.seeding import generator


@pytest.fixture(scope="module")
def gradient():
    """60 x 40 pixels: red is the column, green the row."""
    rows, columns = np.mgrid[:40, :60]
    pixels = np.stack([4 * columns, 6 * rows, np.zeros_like(rows)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def crops(image, *, short_side=(20, 40), flip=True, count=200):
    return [
        random_crop(image, 16, short_side=short_side, flip=flip, random=generator(0, number))
        for number in range(count)
    ]


def test_equal_seeds_give_equal_crops(gradient):
    first, second = crops(gradient, count=5), crops(gradient, count=5)
    np.testing.assert_array_equal(first, second)
    assert len({crop.tobytes() for crop in first}) == 5


def test_the_scale_covers_the_range(gradient):
    """A crop of 16 out of a short side of 40 shows 16 columns, out of one of 20 twice as many."""
    spans = [abs(int(crop[0, -1, 0]) - int(crop[0, 0, 0])) / 4 for crop in crops(gradient)]
    # 15 steps between 16 columns; resampling and rounding to 8 bits take one at each end.
    assert 13 <= min(spans) <= 16
    assert 28 <= max(spans) <= 32


def test_half_are_mirrored_where_that_is_asked_for(gradient):
    mirrored = sum(int(crop[0, 0, 0]) > int(crop[0, -1, 0]) for crop in crops(gradient))
    assert 70 < mirrored < 130  # 4 standard deviations of 200 even draws
    upright = crops(gradient, flip=False)
    assert all(int(crop[0, 0, 0]) < int(crop[0, -1, 0]) for crop in upright)


def test_the_place_does_not_depend_on_flip(gradient):
    plain, other = crops(gradient, flip=False, count=50), crops(gradient, flip=True, count=50)
    for a, b in zip(plain, other, strict=True):
        assert np.array_equal(a, b) or np.array_equal(a, b[:, ::-1])


def test_crops_reach_every_edge(gradient):
    found = np.stack(crops(gradient, flip=False, count=400))
    assert found[..., 0].min() <= 8
    assert found[..., 0].max() >= 4 * 57
    assert found[..., 1].min() <= 12
    assert found[..., 1].max() >= 6 * 37


def test_an_image_as_large_as_the_crop(gradient):
    (crop,) = crops(gradient.resize((16, 16)), short_side=(16, 16), count=1)
    assert crop.shape == (16, 16, 3)
    thin = Image.new("RGB", (1, 900), (9, 8, 7))
    (crop,) = crops(thin, count=1)
    assert crop.shape == (16, 16, 3)
    assert (crop == (9, 8, 7)).all()
