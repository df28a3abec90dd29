"""Pictures as phones have them: mistakes in decoding are far beyond what decoders differ by."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from PIL.JpegImagePlugin import get_sampling

from calibration.decoding import decode_bytes
from vggexport.bundles.decoder_pictures import (
    CHROMA_LEVELS,
    oriented_pictures,
    subsampled_picture,
)
from vggexport.bundles.display_p3 import display_p3
from vggexport.bundles.golden_pictures import LEVELS, golden_pictures
from vggexport.bundles.preprocessing import Preprocessing

STEPS = Preprocessing((32, 48))
PICTURES = {picture.name: picture.data for picture in golden_pictures(STEPS.size)}

ORIENTED = [picture.data for picture in oriented_pictures()]
"""Of EXIF's values from 1 on."""


def profile_left_aside(image):
    return ImageOps.exif_transpose(image).convert("RGB")


def as_it_lies(image):
    return image.convert("RGB")


def on_black(image):
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")


def alpha_dropped(image):
    return image.convert("RGB")


def stretched(image):
    return image.convert("RGB").resize((72, 36))


def levels(name, image):
    right = STEPS.apply(np.asarray(decode_bytes(PICTURES[name], label=name).image))
    wrong = STEPS.apply(np.asarray(image))
    return int(np.abs(right.astype(int) - wrong).max())


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("display_p3.jpg", profile_left_aside),
        ("display_p3.png", profile_left_aside),
        ("turned.jpg", as_it_lies),
        ("transparent.png", on_black),
        ("transparent.png", alpha_dropped),
        ("wide.png", stretched),
    ],
)
def test_a_mistake_is_seen(name, mistake):
    with Image.open(io.BytesIO(PICTURES[name])) as image:
        assert levels(name, mistake(image)) > 4 * LEVELS


def upright(data, value=None):
    """As EXIF says, or as if it said that."""
    with Image.open(io.BytesIO(data)) as image:
        if value:
            image.getexif()[0x0112] = value
        return STEPS.apply(np.asarray(ImageOps.exif_transpose(image))).astype(int)


def test_each_orientation_becomes_the_same_pixels_and_no_other_does():
    first = upright(ORIENTED[0])
    for stated, data in enumerate(ORIENTED, start=1):
        assert Image.open(io.BytesIO(data)).getexif()[0x0112] == stated
        np.testing.assert_array_equal(upright(data), first)
        for taken_for in set(range(1, 9)) - {stated}:
            assert np.abs(upright(data, taken_for) - first).max() > 4 * LEVELS, (stated, taken_for)


def test_pictures_for_decoders_are_small():
    assert sum(map(len, ORIENTED)) < 5_000
    assert len(subsampled_picture().data) < 8_000


def in_ycbcr(data, part=1):
    """Levels of luma, Cb and Cr; with ``part`` 2 in half the size, which is all that chroma has."""
    with Image.open(io.BytesIO(data)) as image:
        assert get_sampling(image) == FOUR_TWO_ZERO
        image.draft("YCbCr", (image.width // part, image.height // part))
        return np.array(image)


FOUR_TWO_ZERO = 2
CHROMA = {
    "repeated": (lambda half: half.repeat(2, axis=0).repeat(2, axis=1), True),
    "a sample too far": (lambda half: np.roll(half, 1, 1).repeat(2, 0).repeat(2, 1), False),
    "swapped": (lambda half: half[..., ::-1].repeat(2, 0).repeat(2, 1), False),
    "taken for whole": (lambda half: np.tile(half, (2, 2, 1)), False),
}
"""By what a decoder of 4:2:0 does: chroma as fine as luma, and whether it is right."""


@pytest.mark.parametrize("decoder", CHROMA)
@pytest.mark.parametrize("size", [(16, 16), (32, 48), (224, 224)])
def test_decoders_that_repeat_chroma_are_within_the_tolerance(decoder, size):
    data, steps = subsampled_picture().data, Preprocessing(size)
    refine, is_right = CHROMA[decoder]
    luma, half = in_ycbcr(data)[..., :1], in_ycbcr(data, part=2)[..., 1:]
    other = Image.fromarray(np.dstack([luma, refine(half)]), "YCbCr").convert("RGB")
    right = steps.apply(np.asarray(decode_bytes(data, label="chroma").image)).astype(int)
    found = np.abs(steps.apply(np.asarray(other)) - right).max()
    assert (found <= CHROMA_LEVELS) == is_right


def test_they_are_what_they_are_called():
    opened = {name: Image.open(io.BytesIO(data)) for name, data in PICTURES.items()}
    assert {name: (image.format, image.mode) for name, image in opened.items()} == {
        "display_p3.jpg": ("JPEG", "RGB"),
        "display_p3.png": ("PNG", "RGB"),
        "turned.jpg": ("JPEG", "RGB"),
        "transparent.png": ("PNG", "RGBA"),
        "gray.jpg": ("JPEG", "L"),
        "wide.png": ("PNG", "RGB"),
    }
    assert opened["wide.png"].width > 6 * opened["wide.png"].height
    assert opened["display_p3.png"].info["icc_profile"] == display_p3()


def test_the_profile_is_display_p3():
    """Its colorants relative to D50, as Apple publishes them, and lcms' own account of it."""
    profile = display_p3()
    assert struct.unpack(">I", profile[:4])[0] == len(profile)
    read = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    assert read.profile_description == "Display P3"
    for found, expected in (
        (read.red_colorant, (0.51512, 0.24120, -0.00105)),
        (read.green_colorant, (0.29198, 0.69225, 0.04189)),
        (read.blue_colorant, (0.15710, 0.06657, 0.78407)),
    ):
        assert found[0] == pytest.approx(expected, abs=2e-4)
