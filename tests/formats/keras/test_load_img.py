"""Pictures become the pixels that Keras' ``load_img`` makes of the same file."""

import numpy as np
import pytest
from keras.utils import load_img
from PIL import Image

from calibration.decoding import decode
from calibration.pictures import INTERPOLATIONS, PictureOptions
from calibration.preprocessing import prepare

KERAS = {"area": "box"}
"""Names of Keras where they are others."""


@pytest.fixture
def path(tmp_path):
    pixels = np.random.default_rng(7).integers(0, 256, (61, 97, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(32, 32), (24, 40), (40, 24), (150, 150)], ids=str)
@pytest.mark.parametrize("keeps_shape", [False, True], ids=["stretch", "crop"])
def test_keras_makes_the_same_pixels(path, interpolation, size, keeps_shape):
    name = KERAS.get(interpolation, interpolation)
    theirs = load_img(path, target_size=size, interpolation=name, keep_aspect_ratio=keeps_shape)
    how = ("crop", min(size)) if keeps_shape else ("stretch", None)
    pictures = PictureOptions(*how, interpolation)
    np.testing.assert_array_equal(prepare(decode(path), size, pictures), np.array(theirs))
