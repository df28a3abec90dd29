"""What became of kernels that are not the reference's."""

import numpy as np
import pytest

from vggexport.diagnosis.images import scaling_faults
from vggexport.diagnosis.weights import compare_weights, is_recoloured, tensor_sqnr_db
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.precision import Precision

SPEC = VGGSpec(
    "tiny",
    parse_blocks("conv3-4 | conv3-8 conv3-8 conv3-8"),
    classes=5,
    hidden=fully_connected(8, 8),
    input_size=(8, 8),
)


@pytest.fixture(scope="module")
def weights(make_weights):
    return make_weights(SPEC)


def compared(weights, precision=Precision.FLOAT32, **changed):
    candidate = dict(weights)
    for name, array in changed.items():
        candidate[name] = np.ascontiguousarray(array)
    return compare_weights(SPEC, weights, candidate, precision.profile)


def test_equal_weights_do_not_differ(weights):
    comparison = compared(weights)
    assert comparison.differences == ()
    assert comparison.same_db == np.inf


@pytest.mark.parametrize(
    ("name", "change", "found"),
    [
        ("block1_conv1/kernel", lambda k: k[:, :, ::-1], "its input channels in BGR order"),
        ("block2_conv2/kernel", lambda k: k[::-1, ::-1], "turned by 180 degrees"),
        (
            "block2_conv1/kernel",
            lambda k: k.transpose(1, 0, 2, 3),
            "its height and width exchanged",
        ),
        ("block2_conv3/kernel", lambda k: k.swapaxes(2, 3), "inputs and outputs exchanged"),
        ("fc2/kernel", lambda k: k.T, "inputs and outputs exchanged"),
        (
            "fc1/kernel",
            lambda k: k.reshape(2, 2, 8, 8).transpose(2, 0, 1, 3).reshape(32, 8),
            "its rows in CHW order",
        ),
    ],
)
def test_a_kernel_in_another_layout_is_recognized(weights, name, change, found):
    (difference,) = compared(weights, **{name: change(weights[name])}).differences
    assert (difference.layer, difference.found) == (name.partition("/")[0], found)
    assert difference.sqnr_db < 10
    assert difference.found_db > 100
    assert not difference.is_layer


def test_exchanged_layers_are_recognized(weights):
    pair = ("block2_conv2", "block2_conv3")
    changed = {
        f"{a}/{part}": weights[f"{b}/{part}"]
        for a, b in (pair, pair[::-1])
        for part in ("kernel", "bias")
    }
    comparison = compared(weights, **changed)
    assert [(d.layer, d.found, d.is_layer) for d in comparison.differences] == [
        ("block2_conv2", "block2_conv3", True),
        ("block2_conv3", "block2_conv2", True),
    ]


def test_other_weights_are_told_from_rounded_ones(weights):
    kernel = weights["block2_conv2/kernel"]
    rounded = np.rint(kernel * 40) / 40
    assert tensor_sqnr_db(kernel, rounded) == pytest.approx(27, abs=1)
    assert compared(weights, Precision.INT8, **{"block2_conv2/kernel": rounded}).differences == ()
    for precision in (Precision.FLOAT32, Precision.FLOAT16):
        (found,) = compared(weights, precision, **{"block2_conv2/kernel": rounded}).differences
        assert (found.layer, found.found) == ("block2_conv2", None)


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (lambda k: k, []),
        (lambda k: 255 * k, ["expects-0-1"]),
        (lambda k: 127.5 * k, ["expects-minus1-1"]),
        (lambda k: 127.5 * k[:, :, ::-1], ["channels-swapped+expects-minus1-1"]),
        (lambda k: k / 127.5, ["scaled-minus1-1"]),
        (
            lambda k: k / (255 * np.array([0.229, 0.224, 0.225])[:, None]),
            ["torchvision-normalized"],
        ),
        (lambda k: 200 * k, []),
        (lambda k: 255 * np.roll(k, 1, 3), []),
    ],
)
def test_the_range_that_a_kernel_was_scaled_for_is_told(weights, change, faults):
    name, profile = "block1_conv1/kernel", Precision.INT8.profile
    candidate = {name: change(weights[name])}
    told = [
        fault.name
        for fault in scaling_faults()
        if is_recoloured(SPEC, weights, candidate, fault.colour_matrix(), profile)
    ]
    assert told == faults


def test_a_bias_alone_may_differ(weights):
    other = {"fc1/bias": -weights["fc1/bias"]}
    for precision in (Precision.FLOAT32, Precision.INT8):
        (found,) = compared(weights, precision, **other).differences
        assert (found.layer, found.found) == ("fc1", None)


def test_a_small_bias_may_be_rounded_to_nothing_in_integers(weights):
    nothing = {"fc1/bias": np.zeros_like(weights["fc1/bias"])}
    assert compared(weights, Precision.INT8, **nothing).differences == ()
    assert len(compared(weights, Precision.FLOAT16, **nothing).differences) == 1


def test_a_nan_differs(weights):
    kernel = weights["fc2/kernel"].copy()
    kernel[0, 0] = np.nan
    (found,) = compared(weights, **{"fc2/kernel": kernel}).differences
    assert np.isnan(found.sqnr_db)


def test_all_layers_may_differ(weights, make_weights):
    other = {name: -array for name, array in weights.items()}
    comparison = compared(weights, **other)
    assert len(comparison.differences) == len(SPEC.weighted_layers)
    assert np.isnan(comparison.same_db)


def test_large_tensors_are_compared_in_parts(monkeypatch):
    random = np.random.default_rng(0)
    one, other = random.standard_normal((2, 1000)).astype(np.float32)
    whole = tensor_sqnr_db(one, other)
    monkeypatch.setattr("vggexport.diagnosis.weights._CHUNK", 7)
    assert tensor_sqnr_db(one, other) == pytest.approx(whole, rel=1e-12)
