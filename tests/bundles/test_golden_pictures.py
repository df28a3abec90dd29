"""Pictures as phones have them: mistakes in decoding are far beyond what decoders differ by."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from calibration.decoding import decode_bytes
from vggexport.bundles.display_p3 import display_p3
from vggexport.bundles.golden_pictures import LEVELS, golden_pictures
from vggexport.bundles.preprocessing import Preprocessing

STEPS = Preprocessing((32, 48))
PICTURES = {picture.name: picture.data for picture in golden_pictures(STEPS.size)}


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
