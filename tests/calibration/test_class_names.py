"""Folders matched with labels: by synset, by name, in any normal form; never by a guess."""

import pytest

from calibration import CalibrationDataError
from calibration.class_names import find_places, told_apart

IMAGENET = (
    "n01440764 tench, Tinca tinca",
    "n02012849 crane",
    "n03126707 crane",
    "n01484850 great_white_shark",
)


def places(names, labels):
    return find_places(names, labels, of="data", owner="net.onnx")


@pytest.mark.parametrize(
    ("name", "labels", "place"),
    [
        ("n02012849", IMAGENET, 1),
        ("n03126707 crane", IMAGENET, 2),
        ("tench", IMAGENET, 0),
        ("Tench, Tinca tinca", IMAGENET, 0),
        ("great white shark", IMAGENET, 3),
        ("Great_White_Shark", IMAGENET, 3),
        ("cafe\u0301", ("bar", "caf\u00e9"), 1),
        ("caf\u00e9", ("cafe\u0301", "bar"), 0),
        ("Bee", ("ant", "bee"), 1),
        ("Bee", ("bee", "Bee"), 1),
        ("crane (1)", told_apart(["crane", "crane"]), 1),
    ],
)
def test_names_are_found(name, labels, place):
    assert places([name], labels) == [place]


@pytest.mark.parametrize(
    ("name", "labels", "said"),
    [
        ("crane", IMAGENET, "has 2 of that name: .* 'n02012849 crane', 'n03126707 crane'"),
        ("crane", told_apart(["crane", "crane"]), r"'crane \(0\)', 'crane \(1\)'"),
        ("BEE", ("bee", "Bee"), "has 2 of that name"),
        ("n09999999", IMAGENET, "1 of 1 classes that net.onnx does not know"),
        ("goldfish", IMAGENET, "does not know: 'goldfish'"),
    ],
)
def test_names_that_are_none_or_several(name, labels, said):
    with pytest.raises(CalibrationDataError, match=said):
        places([name], labels)
