"""The preprocessing that a bundle describes is the one that calibration has."""

import json

import numpy as np
import pytest
from PIL import Image

import calibration
from vggexport.bundles.preprocessing import MAX_LEVELS, Preprocessing
from vggexport.errors import ArtifactError

PICTURES = [
    {},
    {"resize_to": 300, "interpolation": "bicubic"},
    {"resize": "stretch", "interpolation": "nearest", "ignore_exif": True},
    {"resize": "pad", "background": (0, 9, 0), "interpolation": "area", "bit_depth": 12},
]


@pytest.mark.parametrize("pictures", PICTURES, ids=str)
@pytest.mark.parametrize("size", [(224, 224), (96, 160), (150, 64)])
def test_the_preprocessing_is_read_as_it_was_described(size, pictures):
    described = Preprocessing(size, calibration.PictureOptions(**pictures))
    data = json.loads(json.dumps(described.to_json({})))
    assert Preprocessing.from_json(data) == described


def test_a_part_is_cut_out_before_where_nothing_is_cut_off_behind():
    described = Preprocessing((24, 40), calibration.PictureOptions(resize_to=24))
    _, resize = described.steps()
    assert (resize["mode"], resize["height"], resize["width"]) == ("part", 24, 40)
    assert Preprocessing.from_json(described.to_json({})) == described


@pytest.mark.parametrize("size", [(224, 224), (96, 160), (150, 64)])
@pytest.mark.parametrize(("height", "width"), [(300, 500), (701, 333), (40, 61), (224, 224)])
def test_the_preprocessing_is_that_of_calibration(height, width, size):
    pixels = np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = calibration.prepare(Image.fromarray(pixels), size)
    assert np.array_equal(Preprocessing(size).apply(pixels), expected)
    plain = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.NEAREST)
    assert np.abs(np.array(plain).astype(int) - expected).max() > 10 * MAX_LEVELS


def test_squares_are_described_in_the_words_of_0_1_0():
    _, resize, crop = Preprocessing((224, 224)).steps()
    assert (resize["short_side"], crop["height"], crop["width"]) == (256, 224, 224)
    assert not {"cover_height", "cover_width"} & resize.keys()


def test_rectangles_are_described_by_what_is_to_be_covered():
    data = Preprocessing((96, 160)).to_json({})
    _, resize, crop = data["steps"]
    assert (resize["cover_height"], resize["cover_width"]) == (110, 183)
    assert (crop["height"], crop["width"]) == (96, 160)
    resize["cover_width"] = 159
    with pytest.raises(ArtifactError, match="other steps than this version"):
        Preprocessing.from_json(data)


def test_other_words_for_the_same_steps_are_accepted():
    data = Preprocessing((32, 32)).to_json({})
    data["steps"][1]["filter"] = "a triangle"
    assert Preprocessing.from_json(data) == Preprocessing((32, 32))


def test_other_steps_are_refused():
    data = Preprocessing((32, 32)).to_json({})
    data["steps"][1]["antialias"] = False
    with pytest.raises(ArtifactError, match="other steps than this version"):
        Preprocessing.from_json(data)
    data["steps"][1]["interpolation"] = "mitchell"
    with pytest.raises(ArtifactError, match="'mitchell': choose from bilinear, nearest"):
        Preprocessing.from_json(data)
    for broken in ({}, {"steps": []}, {"steps": 3}, {"steps": [{"step": "crop"}]}):
        with pytest.raises(ArtifactError, match="preprocessing is not readable"):
            Preprocessing.from_json(broken)
