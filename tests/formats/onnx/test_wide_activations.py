"""int8 ONNX files with activations in 16 bits: their numbers, and what computes them."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.formats.onnx.sessions import EXACT_INT8
from vggexport.formats.registry import load_exporter, load_weight_reader
from vggexport.opening.file_check import same_integers

WIDE = {"batch": 1, "target": "snapdragon", "activation_bits": 16}
HIDDEN = ("block1_conv1", "block1_conv2", "block2_conv1", "fc1", "fc2")
STEPS = 65535


@pytest.fixture(scope="module")
def path(export):
    return export("int8", **WIDE)


@pytest.fixture(scope="module")
def constants(path):
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


@pytest.fixture(scope="module")
def simulate(tiny, images, ranges, numpy_network):
    """path -> the numpy network on a file's own weights, activations rounded to 65536 values."""
    bounds = {"mean_subtraction": (0 - 123.68, 255 - 103.939)} | dict(ranges.ranges)

    def rounded(name, values):
        low, high = bounds[name]
        scale = float(np.float32((high - low) / STEPS))
        zero_point = round(-low / scale)
        return (np.clip(np.rint(values / scale) + zero_point, 0, STEPS) - zero_point) * scale

    def run(path):
        return numpy_network(tiny, load_weight_reader("onnx")(path), images, after=rounded)

    return run


def test_activations_are_uint16_in_the_standards_own_operators(path, constants, ranges):
    model = onnx.load(path)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 21)]
    assert model.ir_version == 10
    scales = {"mean_subtraction/nchw": 274.741 / STEPS} | {
        name: ranges.ranges[name][1] / STEPS for name in HIDDEN
    }
    for name, scale in scales.items():
        assert constants[f"{name}/scale"] == np.float32(scale)
        zero_point = constants[f"{name}/zero_point"]
        assert (zero_point.dtype, zero_point.shape) == (np.uint16, ())
        # 123.68 / (274.741 / 65535) = 29501.8
        assert zero_point == (29502 if name.startswith("mean") else 0)
    quantizes = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert {constants[node.input[2]].dtype for node in quantizes} == {np.dtype(np.uint16)}


def test_weights_are_those_of_8_bits_and_biases_in_the_finer_steps(constants, export):
    narrow = onnx.load(export("int8", **WIDE | {"activation_bits": 8}))
    assert [entry.version for entry in narrow.opset_import] == [17]
    others = {t.name: numpy_helper.to_array(t) for t in narrow.graph.initializer}
    for name in HIDDEN:
        assert np.array_equal(constants[f"{name}/kernel"], others[f"{name}/kernel"])
        bias, steps = constants[f"{name}/bias"], constants[f"{name}/bias/scales"]
        assert bias.dtype == np.int32
        ratio = others[f"{name}/bias/scales"] / steps
        assert np.allclose(ratio, 257, rtol=1e-6)
        assert np.abs(bias / ratio - others[f"{name}/bias"]).max() < 0.51


def test_a_bias_beyond_int32_has_its_kernel_rounded_to_wider_steps(
    make_request, tiny_weights, tmp_path, images, simulate
):
    """So that the product of both scales is wide enough: no bias is cut off."""
    weights = {name: array.copy() for name, array in tiny_weights.items()}
    weights["fc1/kernel"][:, :2] *= 1e-6
    weights["fc1/bias"][:2] = 3.0, -3.0
    path = tmp_path / "wide.onnx"
    request = make_request("int8", **WIDE)
    load_exporter("onnx").export(replace(request, weights=weights), path)
    (bias,) = (t for t in onnx.load(path).graph.initializer if t.name == "fc1/bias")
    assert np.allclose(np.abs(numpy_helper.to_array(bias)[:2]), 2**31 - 1, rtol=1e-6)
    assert np.allclose(load_weight_reader("onnx")(path)["fc1/bias"][:2], (3, -3), rtol=1e-6)
    with OnnxRunner(path) as runner:
        found = np.concatenate([runner.predict(image[None]) for image in images])
    assert np.abs(found - simulate(path)["probabilities"]).max() < 1e-4


def test_every_layer_is_what_the_files_numbers_say(path, images, simulate, ranges):
    expected = simulate(path)
    names = ("mean_subtraction", *HIDDEN, "block1_pool", "flatten", "predictions", "probabilities")
    with OnnxRunner(path) as runner:
        parts = [runner.activations(image[None], names) for image in images]
    for name in names:
        found = np.concatenate([part[name] for part in parts])
        error = np.abs(found - expected[name].reshape(found.shape)).max()
        high = ranges.ranges.get(name, (0, 274.741))[1]
        assert error < 4 * high / STEPS, name  # a step between two, and what it makes of later ones


def test_by_itself_onnx_runtime_rounds_what_fully_connected_layers_read(path, images, simulate):
    """Which is why sessions set what they set."""
    expected = simulate(path)["probabilities"]

    def error(*entries):
        options = onnxruntime.SessionOptions()
        for name, value in entries:
            options.add_session_config_entry(name, value)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        run = [session.run(None, {"images": image[None].astype(np.float32)})[0] for image in images]
        return np.abs(np.concatenate(run) - expected).max()

    assert error(*EXACT_INT8) < 1e-4
    assert error(EXACT_INT8[0]) > 1e-3


def test_its_ranges_are_read_back(path, ranges):
    read = load_weight_reader("onnx")(path).ranges
    assert read["fc1"] == pytest.approx((0, ranges.ranges["fc1"][1]), rel=1e-6)


def test_it_does_not_carry_the_integers_of_8_bits(make_request):
    wide = make_request("int8", **WIDE).artifact
    assert same_integers(wide, wide)
    assert not same_integers(wide, make_request("int8", **WIDE | {"activation_bits": 8}).artifact)


def test_uint8_images_are_taken(export, path, images):
    with OnnxRunner(export("int8", "uint8", **WIDE)) as raw, OnnxRunner(path) as runner:
        assert np.array_equal(raw.predict(images[:1]), runner.predict(images[:1]))
    model = onnx.load(export("int8", "uint8", **WIDE))
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
