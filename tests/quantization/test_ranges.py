"""The ranges file: what it holds, what it refuses, and whom it serves."""

import json
from dataclasses import replace

import numpy as np
import pytest

from vggexport.errors import CalibrationError
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.quantization.int8 import ActivationQuantization
from vggexport.quantization.ranges import ActivationRanges, input_range, observed_layers


@pytest.fixture
def saved(ranges, tmp_path):
    """The ranges file with changed top-level values."""

    def save(**changes):
        path = tmp_path / "ranges.json"
        path.write_text(json.dumps(ranges.to_json() | changes))
        return path

    return save


def test_a_file_gives_the_same_ranges_again(ranges, tmp_path):
    path = tmp_path / "ranges.json"
    ranges.save(path)
    loaded = ActivationRanges.load(path)
    assert loaded == ranges
    assert loaded.quantization() == ranges.quantization()
    assert json.loads(path.read_text())["kind"] == "vggexport activation ranges"


def test_layers_with_weights_are_observed_and_no_others(tiny):
    hidden = ("block1_conv1", "block1_conv2", "block2_conv1", "fc1", "fc2")
    assert observed_layers(tiny) == (*hidden, "predictions")
    of_d = observed_layers(VGGSpec.named("D"))
    assert len(of_d) == 16
    assert of_d[-1] == "predictions"


def test_the_input_range_is_that_of_pixels_minus_the_mean(tiny):
    assert input_range(tiny) == (-123.68, 255 - 103.939)
    assert input_range(replace(tiny, mean_rgb=(1.0, 5.0, 3.0))) == (-5.0, 254.0)


def test_quantization_covers_the_input_and_every_observed_layer(tiny, ranges):
    parameters = ranges.quantization()
    assert list(parameters) == ["mean_subtraction", *observed_layers(tiny)]
    assert parameters["mean_subtraction"].scale == np.float32(274.741 / 255)
    low, high = ranges.ranges["fc1"]
    assert parameters["fc1"] == ActivationQuantization.from_range(low, high)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[]", "not a ranges file"),
        (b"null", "not a ranges file"),
        (b"{}", "not a ranges file"),
        (b'{"schema": 1, "kind": "something else"}', "kind 'something else'"),
    ],
)
def test_another_file_is_refused_by_its_name(tmp_path, content, message):
    path = tmp_path / "ranges.json"
    path.write_bytes(content)
    with pytest.raises(CalibrationError, match=message) as raised:
        ActivationRanges.load(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_another_schema_is_refused(saved):
    with pytest.raises(CalibrationError, match="schema 2"):
        ActivationRanges.load(saved(schema=2))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CalibrationError, match=r"ranges file .*missing\.json does not exist"):
        ActivationRanges.load(tmp_path / "missing.json")


def test_a_missing_layer_is_named(saved, ranges):
    rest = {name: list(value) for name, value in ranges.ranges.items() if name != "fc1"}
    with pytest.raises(CalibrationError, match="fc1"):
        ActivationRanges.load(saved(ranges=rest))


@pytest.mark.parametrize(
    "bounds",
    [
        [float("nan"), 1.0],
        [0.0, float("nan")],
        [0.0, float("inf")],
        [-float("inf"), 0.0],
        [1.0, -1.0],
        [0.5, 1.0],
        [-1.0, -0.5],
        [0.0],
        [0.0, 1.0, 2.0],
        [0.0, "high"],
        [0.0, None],
        1.0,
        None,
    ],
    ids=str,
)
def test_a_range_that_is_none_is_refused(saved, ranges, bounds):
    changed = {name: list(value) for name, value in ranges.ranges.items()} | {"fc2": bounds}
    with pytest.raises(CalibrationError, match="not a ranges file of vggexport calibrate"):
        ActivationRanges.load(saved(ranges=changed))


def test_a_layer_that_was_always_zero_is_accepted(saved, ranges):
    changed = {name: list(value) for name, value in ranges.ranges.items()} | {"fc2": [0.0, 0.0]}
    loaded = ActivationRanges.load(saved(ranges=changed))
    assert loaded.quantization()["fc2"] == ActivationQuantization(1.0, -128)


@pytest.mark.parametrize("key", ["spec", "weights", "calibration", "ranges", "kind", "schema"])
def test_a_file_that_lacks_a_part_is_refused(saved, key):
    path = saved()
    data = json.loads(path.read_text())
    del data[key]
    path.write_text(json.dumps(data))
    with pytest.raises(CalibrationError, match=key):
        ActivationRanges.load(path)


def test_they_serve_the_network_they_belong_to(ranges, tiny, weights_record):
    ranges.check_belongs(tiny, weights_record)
    ranges.check_belongs(tiny, replace(weights_record, source="renamed.npz"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 6}, "another network: classes is 5 there and 6 here"),
        ({"hidden": fully_connected(17, 17)}, "fc_units is 64 there and 17 here"),
        ({"input_size": (17, 17)}, "input_size is 16 there and 17 here"),
        ({"configuration": "other"}, "configuration is tiny there and other here"),
        ({"mean_rgb": (1.0, 2.0, 3.0)}, "mean_rgb"),
    ],
)
def test_another_network_is_refused(ranges, tiny, weights_record, change, message):
    with pytest.raises(CalibrationError, match=message):
        ranges.check_belongs(replace(tiny, **change), weights_record)


@pytest.mark.parametrize(
    "change",
    [{"sha256": "00" * 32}, {"layout": "keras"}, {"initialized": ("fc1/bias",)}, {"seed": 1}],
    ids=str,
)
def test_other_weights_are_refused(ranges, tiny, weights_record, change):
    with pytest.raises(CalibrationError, match=r"other weights: tiny\.npz with SHA-256 ab"):
        ranges.check_belongs(tiny, replace(weights_record, **change))


def test_corrections_of_biases_come_back_and_are_left_out_where_there_are_none(ranges, saved, tiny):
    assert "bias_corrections" not in saved().read_text()
    shifts = {layer.name: [0.25] * layer.output_shape[-1] for layer in tiny.weighted_layers}
    loaded = ActivationRanges.load(saved(bias_corrections=shifts))
    assert loaded.bias_corrections == {name: tuple(shift) for name, shift in shifts.items()}


@pytest.mark.parametrize(
    "shifts",
    [{"fc1": [0.5]}, {"fc1": [float("nan")] * 64}, {"fc1": ["a"] * 64}, {"fc9": [0.5]}, {}, [1]],
    ids=["too few", "NaN", "text", "no such layer", "none of them", "no mapping"],
)
def test_corrections_that_are_none_are_refused(saved, shifts):
    with pytest.raises(CalibrationError, match="not a ranges file of vggexport calibrate"):
        ActivationRanges.load(saved(bias_corrections=shifts))
