"""Networks beside the paper's: written, run, read back and inspected in every format.

Each is held, layer by layer, to the numpy network.
"""

from dataclasses import replace

import numpy as np
import pytest

from vggexport.artifact import Artifact
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.model_weights import MEAN_NAME
from vggexport.formats.registry import (
    FORMATS,
    KERAS,
    WRITTEN,
    load_exporter,
    load_inspector,
    load_runner,
    load_weight_reader,
)
from vggexport.metrics.parity import sqnr_db
from vggexport.network.head import FullyConnected, HeadActivation, Pooling, fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.precision import Precision
from vggexport.quantization.audit import float_operators
from vggexport.quantization.int4 import BLOCK_SIZE, quantize_blocks
from vggexport.quantization.ranges import ActivationRanges, observed_layers

BLOCKS = parse_blocks("conv3-4 conv1-6 | conv3-64")
IMAGES = 6
SIGMOID = HeadActivation.SIGMOID

NETWORKS = {
    spec.configuration: spec
    for spec in (
        VGGSpec("rectangle", BLOCKS, 5, fully_connected(64, 64), (8, 12)),
        VGGSpec("odd-sides", BLOCKS, 5, fully_connected(64), (13, 7)),
        VGGSpec("no-last-pooling", BLOCKS, 5, fully_connected(64, 64), (6, 4), last_pooling=False),
        VGGSpec("no-hidden", parse_blocks("conv3-4 conv1-1 | conv3-64"), 5, (), (8, 8)),
        VGGSpec("three-hidden", BLOCKS, 5, fully_connected(64, 128, 64), (8, 8)),
        VGGSpec("linear", BLOCKS, 5, (FullyConnected(64, relu=False), FullyConnected(64)), (8, 8)),
        VGGSpec("average", BLOCKS, 5, fully_connected(64), (12, 20), pooling=Pooling.AVERAGE),
        VGGSpec("max", BLOCKS, 5, fully_connected(64), (12, 20), pooling=Pooling.MAX),
        VGGSpec("sigmoid", BLOCKS, 5, fully_connected(64), (8, 8), head_activation=SIGMOID),
        VGGSpec(
            "one-output", BLOCKS, 1, (), (9, 6), last_pooling=False, pooling=Pooling.AVERAGE,
            head_activation=SIGMOID,
        ),
        VGGSpec(
            "max-alone", BLOCKS, 1, (), (16, 16), pooling=Pooling.MAX, head_activation=SIGMOID
        ),
    )
}  # fmt: skip

CASES = [
    *((name, p.value, False) for name, row in WRITTEN.items() for p in row.precisions),
    ("tflite", "int8", True),
]
MIN_SQNR_DB = {
    # The reasons of tests/formats/test_runners.py; these networks have fewer values a layer.
    "float32": 110,
    "float16": 50,
    "int8": 20,
    "dynamic-int8": 20,
    "int8-w4": 18,
}


@pytest.fixture(params=NETWORKS)
def spec(request) -> VGGSpec:
    return NETWORKS[request.param]


@pytest.fixture
def weights(spec, make_weights) -> dict[str, np.ndarray]:
    return make_weights(spec)


@pytest.fixture
def pixels(spec) -> np.ndarray:
    shape = (IMAGES, *spec.image_shape)
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def write(spec, weights, pixels, numpy_network, weights_record, calibration_record, tmp_path):
    """(format, precision, full_integer) -> the network's file."""
    outputs = numpy_network(spec, weights, pixels)
    bounds = {
        name: (min(0.0, float(outputs[name].min())), max(0.0, float(outputs[name].max())))
        for name in observed_layers(spec)
    }
    ranges = ActivationRanges(spec, weights_record, calibration_record, bounds)

    def written(name, precision, full_integer):
        path = tmp_path / f"net{FORMATS[name].suffix}"
        needs_ranges = Precision(precision).profile.needs_ranges
        artifact = Artifact(
            path.name,
            name,
            Precision(precision),
            spec,
            weights_record,
            calibration_record if needs_ranges else None,
            input_dtype="uint8" if full_integer else "float32",
            full_integer=full_integer,
        )
        request = ExportRequest(artifact, weights, ranges if needs_ranges else None)
        load_exporter(name).export(request, path)
        return path

    return written


def rounded_to_int4(spec, weights):
    changed = dict(weights)
    for layer in spec.weighted_layers:
        if layer.is_matrix:
            integers, scales = quantize_blocks(weights[layer.kernel.name])
            steps = np.repeat(scales.astype(np.float32), BLOCK_SIZE, axis=0)
            changed[layer.kernel.name] = integers * steps
    return changed


def assert_same_layers(spec, runner, pixels, expected, precision):
    with runner:
        found = runner.activations(pixels, [layer.name for layer in spec.layers])
        alone = runner.predict(pixels)
    for layer in spec.layers:
        values = found[layer.name]
        assert values.shape == (IMAGES, *layer.output_shape)
        assert sqnr_db(expected[layer.name], values) > MIN_SQNR_DB[precision], layer.name
    np.testing.assert_array_equal(alone, found["probabilities"])


def test_the_keras_network_is_the_numpy_network(spec, weights, pixels, numpy_network):
    expected = numpy_network(spec, weights, pixels)
    assert_same_layers(spec, load_runner(KERAS)(spec, weights), pixels, expected, "float32")


@pytest.mark.parametrize(("name", "precision", "full_integer"), CASES)
def test_a_file_is_the_numpy_network_and_gives_its_weights_back(
    spec, weights, pixels, write, numpy_network, name, precision, full_integer
):
    path = write(name, precision, full_integer)
    used = rounded_to_int4(spec, weights) if precision == "int8-w4" else weights
    expected = numpy_network(spec, used, pixels)
    assert_same_layers(spec, load_runner(name)(path), pixels, expected, precision)

    read = load_weight_reader(name)(path)
    assert list(read) == [MEAN_NAME, *spec.tensors]
    for layer in spec.weighted_layers:
        least = MIN_SQNR_DB[precision]
        assert sqnr_db(used[layer.kernel.name], read[layer.kernel.name]) > least, layer.name
        assert np.abs(used[layer.bias.name] - read[layer.bias.name]).max() < 0.05, layer.name

    report = load_inspector(name)(path)
    assert report.artifact.spec == spec
    if precision == "int8":
        assert report.islands == ()
        assert not (full_integer and float_operators(report.operators))


def test_onnx_and_tflite_have_the_same_integers(spec, write):
    """The logits' range alone is another: in TFLite they are int16."""
    onnx, tflite = (load_weight_reader(n)(write(n, "int8", False)) for n in ("onnx", "tflite"))
    for tensor in spec.tensors:
        np.testing.assert_array_equal(onnx[tensor], tflite[tensor])
    hidden = {name: bounds for name, bounds in onnx.ranges.items() if name != "predictions"}
    assert hidden == {name: tflite.ranges[name] for name in hidden}
    assert hidden.keys() == set(observed_layers(spec)) - {"predictions"}


def test_a_layer_of_another_network_is_not_what_is_expected(numpy_network, make_weights):
    """The numpy network tells apart what these networks differ in."""
    spec = NETWORKS["average"]
    images = np.random.default_rng(7).integers(0, 256, (IMAGES, *spec.image_shape), np.uint8)
    weights = make_weights(spec)
    expected = numpy_network(spec, weights, images)["probabilities"]
    for other in (
        replace(spec, pooling=Pooling.MAX),
        replace(spec, head_activation=SIGMOID),
        replace(spec, hidden=(FullyConnected(64, relu=False),)),
        replace(spec, last_pooling=False),
    ):
        assert sqnr_db(expected, numpy_network(other, weights, images)["probabilities"]) < 18
