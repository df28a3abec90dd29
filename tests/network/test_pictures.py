"""How pictures become pixels: in words, as JSON, and what contradicts what."""

import pytest

from vggexport.errors import InputError
from vggexport.network.pictures import UNSTATED, PictureRequest, Pictures, check_same_pixels

SIZE = (224, 224)
USUAL = "turned as EXIF says, on white"


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (
            UNSTATED,
            "scaled to a short side of 256, the centre 224x224 cut out, bilinear, " + USUAL,
        ),
        (
            Pictures(resize_to=224, interpolation="nearest"),
            "the largest centre part of its shape scaled to 224x224, nearest, " + USUAL,
        ),
        (
            Pictures("stretch", ignore_exif=True, bit_depth=12),
            "stretched to 224x224, bilinear, EXIF ignored, on white, gray of 12 bits",
        ),
        (
            Pictures("pad", interpolation="area", background=(0, 0, 0)),
            "scaled into 224x224, padded with the background, area, turned as EXIF says, on black",
        ),
    ],
)
def test_words(pictures, words):
    assert pictures.words(SIZE) == words


def test_json_leads_back():
    pictures = Pictures("pad", background=(1, 2, 3), bit_depth=10)
    assert Pictures.from_json(pictures.to_json()) == pictures
    with pytest.raises(ValueError, match="resize 'squeeze'"):
        Pictures.from_json(pictures.to_json() | {"resize": "squeeze"})


def test_what_is_asked_for_takes_the_place_of_what_nobody_stated():
    assert PictureRequest().within(UNSTATED, SIZE, "w") == UNSTATED
    assert PictureRequest("stretch").within(UNSTATED, SIZE, "w") == Pictures("stretch")


def test_what_is_recorded_may_be_repeated_and_a_bit_depth_added():
    recorded = Pictures(interpolation="nearest")
    request = PictureRequest("crop", 256, "nearest", bit_depth=12)
    assert request.within(recorded, SIZE, "w").pixels(SIZE) == {
        **recorded.pixels(SIZE),
        "bit_depth": 12,
    }


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (PictureRequest("stretch"), "w records pictures with resize crop, and resize stretch is"),
        (PictureRequest(resize_to=240), "resize to 256, and resize to 240 is asked for here"),
        (PictureRequest(ignore_exif=True), "ignore exif False, and ignore exif True is asked for"),
    ],
)
def test_what_is_recorded_is_not_contradicted(request_, says):
    with pytest.raises(InputError, match=says):
        request_.within(Pictures(), SIZE, "w")


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (PictureRequest(resize_to=100), "100 pixels is less than the 224 that the network takes"),
        (PictureRequest("pad", 256), "for crop alone"),
    ],
)
def test_what_is_not_possible_is_refused(request_, says):
    with pytest.raises(InputError, match=says):
        request_.on(UNSTATED, SIZE)


def test_two_that_say_the_same_otherwise_agree():
    check_same_pixels(Pictures(), Pictures(resize_to=256), SIZE, "", "")
    with pytest.raises(InputError, match="resize to 128, and resize to 256"):
        check_same_pixels(Pictures(), Pictures(resize_to=256), (112, 112), "", "")
