"""How pictures become pixels: each choice, held to what Pillow makes of it."""

import numpy as np
import pytest
from PIL import Image

from calibration.augmentation import random_crop
from calibration.decoding import decode
from calibration.errors import CalibrationDataError
from calibration.pictures import INTERPOLATIONS, PictureOptions
from calibration.preprocessing import prepare
from calibration.seeding import generator


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_pillow_makes_the_same_pixels_where_the_centre_is_cut_out(interpolation):
    """From 96 by 144 to 48 by 72 pixels, of which 32 by 32 are kept: edges on whole pixels."""
    image = Image.fromarray(np.random.default_rng(8).integers(0, 256, (96, 144, 3), np.uint8))
    whole = np.array(image.resize((72, 48), INTERPOLATIONS[interpolation]))
    pictures = PictureOptions(resize_to=48, interpolation=interpolation)
    np.testing.assert_array_equal(prepare(image, 32, pictures), whole[8:40, 20:52])


@pytest.mark.parametrize(
    ("size", "options", "cover"),
    [
        (224, {}, (256, 256)),
        (112, {}, (128, 128)),
        ((224, 112), {}, (256, 128)),
        (224, {"resize_to": 224}, (224, 224)),
        ((100, 150), {"resize_to": 120}, (120, 180)),
    ],
)
def test_what_is_covered(size, options, cover):
    assert PictureOptions(**options).cover(size) == cover


def test_a_padded_picture_lies_in_the_middle_of_the_background():
    pictures = PictureOptions("pad", background=(1, 2, 3), interpolation="nearest")
    pixels = prepare(Image.new("RGB", (40, 20), (9, 9, 9)), (16, 12), pictures)
    assert pixels.shape == (16, 12, 3)
    assert np.all(pixels[5:11] == 9)
    assert np.all(pixels[[*range(5), *range(11, 16)]] == (1, 2, 3))


@pytest.mark.parametrize("extent", [(1, 4000), (4000, 1)])
@pytest.mark.parametrize("resize", ["crop", "stretch", "pad"])
def test_pictures_of_one_pixel_across(extent, resize):
    pixels = prepare(Image.new("RGB", extent, (10, 20, 30)), 32, PictureOptions(resize))
    assert np.any(np.all(pixels == (10, 20, 30), axis=-1))


def test_exif_is_ignored_and_the_background_is_another_where_asked(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGBA", (3, 2), (0, 0, 0, 0))
    image.save(tmp_path / "turned.png", exif=exif)
    turned = decode(tmp_path / "turned.png", PictureOptions(background=(1, 2, 3)))
    assert (turned.size, turned.getpixel((0, 0))) == ((2, 3), (1, 2, 3))
    left = decode(tmp_path / "turned.png", PictureOptions(ignore_exif=True))
    assert (left.size, left.getpixel((0, 0))) == ((3, 2), (255, 255, 255))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resize": "squeeze"}, "resize 'squeeze': choose from crop, stretch, pad"),
        ({"interpolation": "cubic"}, "choose from bilinear, nearest, bicubic, lanczos, area"),
        ({"resize": "pad", "resize_to": 256}, "for crop alone"),
        ({"resize_to": 0}, "name one of 1 or more"),
        ({"background": (0, 0, 256)}, "levels are 0...255"),
        ({"bit_depth": 7}, "name 8 to 16"),
    ],
)
def test_what_is_no_choice_is_refused(options, says):
    with pytest.raises(CalibrationDataError, match=says):
        PictureOptions(**options)


def test_a_short_side_below_the_networks_is_refused():
    with pytest.raises(CalibrationDataError, match="200 pixels is less than the 224"):
        prepare(Image.new("RGB", (300, 300)), 224, PictureOptions(resize_to=200))


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_random_crops_are_of_the_shape_that_pictures_have_at_test(resize):
    """The whole of it where the short side is the crop's."""
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (20, 60, 3), np.uint8))
    pictures = PictureOptions(resize)
    cropped = random_crop(
        image, 32, short_side=(32, 32), flip=False, random=generator(0), pictures=pictures
    )
    np.testing.assert_array_equal(cropped, prepare(image, 32, pictures))
