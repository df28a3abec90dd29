"""Pictures with colour profiles, as they become sRGB."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from calibration.colour import to_srgb
from calibration.decoding import decode_bytes
from calibration.pictures import PictureOptions
from vggexport.bundles.display_p3 import display_p3

RED = (200, 60, 40)
RED_OF_P3 = (217, 42, 23)
"""The same values in Display P3: the primaries' matrices and sRGB's curve, worked out by hand."""


def image(mode, colour):
    return Image.new(mode, (3, 2), colour)


def saved(picture, **options):
    out = io.BytesIO()
    picture.save(out, "PNG", **options)
    return out.getvalue()


def decoded(picture, **options):
    found = decode_bytes(saved(picture, **options), label="x", pictures=PictureOptions()).image
    return tuple(int(level) for level in np.asarray(found)[0, 0])


def test_p3_becomes_srgb_and_what_srgb_has_not_is_cut_off():
    assert decoded(image("RGB", RED), icc_profile=display_p3()) == pytest.approx(RED_OF_P3, abs=1)
    assert decoded(image("RGB", (255, 0, 0)), icc_profile=display_p3()) == (255, 0, 0)
    assert decoded(image("RGB", RED)) == RED


def test_transparency_is_composited_in_srgb():
    half = decoded(image("RGBA", (*RED, 128)), icc_profile=display_p3())
    assert half == pytest.approx([(c + 255) / 2 for c in RED_OF_P3], abs=2)


def test_a_palette_has_colours_too():
    palette = image("RGB", RED).quantize(2)
    assert decoded(palette, icc_profile=display_p3()) == pytest.approx(RED_OF_P3, abs=1)


@pytest.mark.parametrize("profile", [b"nonsense", b"", display_p3()[:200]])
def test_a_damaged_profile_counts_as_none(profile):
    assert decoded(image("RGB", RED), icc_profile=profile) == RED


def test_a_profile_of_another_kind_counts_as_none():
    assert decoded(image("L", 77), icc_profile=display_p3()) == (77, 77, 77)
    cmyk = image("CMYK", (1, 2, 3, 4))
    assert to_srgb(cmyk, display_p3()) is cmyk


def test_a_profile_that_is_srgb_changes_nothing():
    """Not even by the rounding of a conversion."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = image("RGB", RED)
    assert to_srgb(picture, profile) is picture
