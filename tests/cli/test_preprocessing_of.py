"""``--preprocessing-of FILE=CONVENTION``."""

import click
import pytest

from vggexport.cli.preprocessing_options import PreprocessingOf
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("old.onnx=torch", CONVENTIONS["torch"]),
        ("a=b.onnx=caffe", CONVENTIONS["caffe"]),
        ("old.onnx=raw;bgr", Preprocessing("raw", channel_order="bgr")),
        (
            "old.onnx=mean:1,2,3;std:4,5,6;bgr",
            Preprocessing("custom", (1, 2, 3), (4, 5, 6), "bgr"),
        ),
        ("old.onnx=std:255,255,255", Preprocessing("custom", std_rgb=(255, 255, 255))),
    ],
)
def test_a_convention_or_numbers_state_it(text, expected):
    path, found = PreprocessingOf().convert(text, None, None)
    assert path == text.rpartition("=")[0]
    assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        "torch",
        "=torch",
        "old.onnx=",
        "old.onnx=torchvision",
        "old.onnx=torch;mean:1,2,3",
        "old.onnx=mean:1,2",
        "old.onnx=std:0,1,1",
        "old.onnx=mean:1,2,3;mean:1,2,3",
        "old.onnx=gamma:1,2,3",
        "old.onnx=torch;bgr;rgb",
    ],
)
def test_what_states_nothing_is_refused(text):
    with pytest.raises(click.BadParameter) as raised:
        PreprocessingOf().convert(text, None, None)
    assert "\n" not in str(raised.value)
