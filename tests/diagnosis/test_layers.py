"""Which layer of a curve stands out."""

import math

import pytest

from vggexport.diagnosis.layers import expected_sqnr_db, first_suspicious
from vggexport.metrics.tolerance import LayerSqnr
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.precision import Precision

LAYERS = VGGSpec(
    "tiny", parse_blocks("conv3-4 conv3-4 | conv3-8"), 5, fully_connected(8, 8), (8, 8)
).layers
NAMES = [layer.name for layer in LAYERS]
INT8 = Precision.INT8.profile.own_noise
HEALTHY = [46.5, 37.4, 35.0, 35.4, 31.6, 32.5, 32.5, 30.0, 28.5, 26.8, 20.0]
"""Of a trained network in int8, on photographs."""


def suspicious(curve, own=INT8):
    found = first_suspicious(LAYERS, curve, own)
    return None if found is None else NAMES[found[0]]


def test_names_are_as_expected():
    assert [
        *("mean_subtraction", "block1_conv1", "block1_conv2", "block1_pool", "block2_conv1"),
        *("block2_pool", "flatten", "fc1", "fc2", "predictions", "probabilities"),
    ] == NAMES


def test_a_healthy_curve_has_none():
    assert suspicious(HEALTHY) is None


@pytest.mark.parametrize("broken", range(len(NAMES) - 1))
def test_a_layer_that_falls_is_found_and_not_those_behind_it(broken):
    curve = [db if i < broken else min(db, 3.0) for i, db in enumerate(HEALTHY)]
    assert suspicious(curve) == NAMES[broken]


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_what_is_not_finite_is_found(value):
    curve = [*HEALTHY[:4], *[value] * 7]
    assert suspicious(curve) == "block2_conv1"


def test_equal_layers_have_none():
    assert suspicious([math.inf] * len(NAMES)) is None


def test_the_softmax_is_left_out():
    assert suspicious([*HEALTHY[:-1], -5.0]) is None


def test_noise_adds_up_as_power():
    """40 dB passed on as 34 dB and 34 dB of one's own are 31 dB together."""
    own = LayerSqnr(34.0, 34.0)
    curve = [40.0] * len(NAMES)
    expected = list(expected_sqnr_db(LAYERS, curve, own))
    assert expected[0] == pytest.approx(34.0)  # nothing in front of it
    assert expected[1] == pytest.approx(31.0, abs=0.02)
    assert expected[3] == pytest.approx(34.0)  # pooling rounds nothing
