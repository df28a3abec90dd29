"""int8 ONNX files: the numbers of every QuantizeLinear and DequantizeLinear, and what they give."""

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.formats.onnx.sessions import session_options
from vggexport.formats.registry import load_exporter
from vggexport.network.spec import MEAN_RGB

HIDDEN = ("block1_conv1", "block1_conv2", "block2_conv1", "fc1", "fc2")
CONVOLUTIONS = HIDDEN[:3]
LAYERS = (*HIDDEN, "predictions")
INPUT_OF = dict(zip(LAYERS, ("mean_subtraction", *HIDDEN), strict=True))
"""Whose scale a layer's input has; pooling and flattening pass their input's on."""

TENSORS = {
    "mean_subtraction/nchw": "mean_subtraction",
    "block1_conv1": "block1_conv1",
    "block1_conv2": "block1_conv2",
    "block1_pool": "block1_conv2",
    "block2_conv1": "block2_conv1",
    "block2_pool": "block2_conv1",
    "flatten": "block2_conv1",
    "fc1": "fc1",
    "fc2": "fc2",
}
"""Quantized tensors, and the layer whose range each has."""


class QdqFile:
    """A file's nodes and constants by name."""

    def __init__(self, path) -> None:
        self.graph = onnx.load(path).graph
        self.constants = {t.name: numpy_helper.to_array(t) for t in self.graph.initializer}
        self.by_output = {node.output[0]: node for node in self.graph.node}

    def quantize_of(self, tensor: str) -> onnx.NodeProto:
        (node,) = (
            n for n in self.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == tensor
        )
        return node

    def parameters(self, node: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray]:
        return self.constants[node.input[1]], self.constants[node.input[2]]

    def dequantize_of(self, layer: str, tensor: str) -> onnx.NodeProto:
        """What feeds the kernel or the bias to the layer's operator."""
        operator = self.by_output[layer if layer == "predictions" else f"{layer}/preactivation"]
        node = self.by_output[operator.input[{"kernel": 1, "bias": 2}[tensor]]]
        assert (node.op_type, node.input[0]) == ("DequantizeLinear", f"{layer}/{tensor}")
        return node


@pytest.fixture(scope="module")
def qdq(export) -> QdqFile:
    return QdqFile(export("int8"))


@pytest.fixture(scope="module")
def bounds(ranges) -> dict[str, tuple[float, float]]:
    """(low, high) by layer, that of the mean subtraction from the pixels' limits."""
    return {"mean_subtraction": (0 - 123.68, 255 - 103.939)} | dict(ranges.ranges)


def expected_parameters(low: float, high: float) -> tuple[np.float32, int]:
    scale = np.float32((high - low) / 255)
    return scale, round(-128 - low / float(scale))


def axis_of(node: onnx.NodeProto) -> int:
    (axis,) = (attribute.i for attribute in node.attribute if attribute.name == "axis")
    return axis


def test_operators_are_those_of_the_float_file_between_qdq(qdq):
    assert Counter(node.op_type for node in qdq.graph.node) == {
        "Sub": 1,
        "Transpose": 1,
        "Conv": 3,
        "Relu": 5,
        "MaxPool": 2,
        "Flatten": 1,
        "Gemm": 3,
        "Softmax": 1,
        "QuantizeLinear": len(TENSORS),
        "DequantizeLinear": len(TENSORS) + 2 * len(LAYERS),
    }


@pytest.mark.parametrize(("tensor", "layer"), TENSORS.items())
def test_activations_have_the_scale_and_zero_point_of_their_range(qdq, bounds, tensor, layer):
    quantize = qdq.quantize_of(tensor)
    scale, zero_point = qdq.parameters(quantize)
    expected_scale, expected_zero_point = expected_parameters(*bounds[layer])
    assert (scale.dtype, scale.shape) == (np.float32, ())
    assert (zero_point.dtype, zero_point.shape) == (np.int8, ())
    assert (scale, zero_point) == (expected_scale, expected_zero_point)


@pytest.mark.parametrize("tensor", TENSORS)
def test_what_is_quantized_is_dequantized_alike_and_read_by_all(qdq, tensor):
    quantize = qdq.quantize_of(tensor)
    readers = [n for n in qdq.graph.node if tensor in n.input]
    assert readers == [quantize]
    (dequantize,) = (n for n in qdq.graph.node if quantize.output[0] in n.input)
    assert dequantize.op_type == "DequantizeLinear"
    assert dequantize.input[1:] == quantize.input[1:]


def test_zero_points_of_relus_are_the_lowest_integer_and_that_of_pixels_is_not(qdq):
    for layer in HIDDEN:
        assert qdq.parameters(qdq.quantize_of(layer))[1] == -128
    # -128 + 123.68 / (274.741 / 255) = -13.2
    assert qdq.parameters(qdq.quantize_of("mean_subtraction/nchw"))[1] == -13


def test_logits_and_probabilities_are_not_quantized(qdq):
    assert qdq.by_output["predictions"].op_type == "Gemm"
    assert list(qdq.by_output["probabilities"].input) == ["predictions"]
    quantized = {n.input[0] for n in qdq.graph.node if n.op_type == "QuantizeLinear"}
    assert quantized == set(TENSORS)


@pytest.mark.parametrize("layer", LAYERS)
def test_kernels_are_symmetric_per_output_channel(qdq, tiny_weights, layer):
    node = qdq.dequantize_of(layer, "kernel")
    scales, zero_points = qdq.parameters(node)
    kernel = tiny_weights[f"{layer}/kernel"]
    largest = np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0)
    np.testing.assert_array_equal(scales, (largest.astype(np.float64) / 127).astype(np.float32))
    assert zero_points.dtype == np.int8
    np.testing.assert_array_equal(zero_points, np.zeros(kernel.shape[-1]))
    assert axis_of(node) == (0 if layer in CONVOLUTIONS else 1)
    integers = qdq.constants[f"{layer}/kernel"]
    assert integers.dtype == np.int8
    assert np.abs(integers.astype(int)).max() == 127  # never -128


def dequantized_kernel(qdq: QdqFile, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and scales in the native layout, float64, outputs last."""
    integers = qdq.constants[f"{layer}/kernel"].astype(np.float64)
    if layer in CONVOLUTIONS:
        integers = np.einsum("oihw->hwio", integers)
    if layer == "fc1":
        integers = np.einsum("chwo->hwco", integers.reshape(8, 4, 4, -1)).reshape(128, -1)
    scales = qdq.parameters(qdq.dequantize_of(layer, "kernel"))[0].astype(np.float64)
    return integers * scales, scales


@pytest.mark.parametrize("layer", LAYERS)
def test_dequantized_kernels_are_within_half_a_step(qdq, tiny_weights, layer):
    kernel, scales = dequantized_kernel(qdq, layer)
    error = np.abs(kernel - tiny_weights[f"{layer}/kernel"])
    # The quotient is rounded to float32 before it is rounded to an integer: 127 x 2**-24 steps.
    assert (error <= scales * (0.5 + 127 * 2**-24)).all()
    assert error.max() > 0.25 * scales.max()  # something was rounded


@pytest.mark.parametrize("layer", LAYERS)
def test_biases_are_int32_in_steps_of_both_scales(qdq, tiny_weights, bounds, layer):
    node = qdq.dequantize_of(layer, "bias")
    scales = qdq.constants[node.input[1]]
    assert len(node.input) == 2  # a zero point of zero
    assert axis_of(node) == 0
    input_scale, _ = expected_parameters(*bounds[INPUT_OF[layer]])
    kernel_scales = qdq.parameters(qdq.dequantize_of(layer, "kernel"))[0]
    np.testing.assert_array_equal(scales, input_scale * kernel_scales)
    integers = qdq.constants[f"{layer}/bias"]
    assert integers.dtype == np.int32
    error = np.abs(integers * scales.astype(np.float64) - tiny_weights[f"{layer}/bias"])
    # The bias' own quotient is in float64, so half a step holds but for its rounding.
    assert (error <= scales.astype(np.float64) * (0.5 + 1e-9)).all()


@pytest.fixture(scope="module")
def simulated(qdq, tiny, images, bounds, numpy_network) -> dict[str, np.ndarray]:
    """The numpy network on the file's own integers, activations rounded to their 256 values."""
    weights = {}
    for layer in LAYERS:
        weights[f"{layer}/kernel"], _ = dequantized_kernel(qdq, layer)
        scales = qdq.constants[qdq.dequantize_of(layer, "bias").input[1]].astype(np.float64)
        weights[f"{layer}/bias"] = qdq.constants[f"{layer}/bias"] * scales

    def rounded(name: str, values: np.ndarray) -> np.ndarray:
        scale, zero_point = expected_parameters(*bounds[name])
        integers = np.clip(np.rint(values / float(scale)) + zero_point, -128, 127)
        return (integers - zero_point) * float(scale)

    return numpy_network(tiny, weights, images, after=rounded)


def test_inference_is_what_the_integers_say(
    export, simulated, tiny, tiny_weights, images, numpy_network
):
    session = onnxruntime.InferenceSession(
        export("int8"), session_options(threads=1), providers=["CPUExecutionProvider"]
    )
    actual = session.run(None, {"images": images.astype(np.float32)})[0]
    float_network = numpy_network(tiny, tiny_weights, images)["probabilities"]
    error = np.abs(actual - simulated["probabilities"]).max()
    loss = np.abs(actual - float_network).max()
    assert loss > 1e-3  # int8 is not float
    # The runtime multiplies by float32 scales, so that values within 1e-6 of the middle of two
    # steps may fall on the other one: a step in one of some thousand activations, none or a few
    # here, far below the loss by rounding all of them.
    assert error < loss / 20


def test_the_integers_of_every_layer_are_what_the_files_integers_say(
    export, qdq, simulated, images
):
    tensors = {name.removesuffix("/nchw"): name for name in TENSORS}
    with OnnxRunner(export("int8")) as runner:
        found = runner.activations(images, tensors)
    for layer, tensor in tensors.items():
        scale, _ = qdq.parameters(qdq.quantize_of(tensor))
        steps = np.rint(found[layer] / scale) - np.rint(simulated[layer] / float(scale))
        # A step in a few of some thousand, for the reason given above.
        assert np.abs(steps).max() <= 1, layer
        assert np.mean(steps != 0) < 0.002, layer


@pytest.mark.parametrize("variant", [("int8", "uint8"), ("int8", "float32", 2, 13)], ids=str)
def test_every_variant_computes_the_same(export, images, variant):
    pair = images[:2]
    sessions = [
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for path in (export("int8"), export(*variant))
    ]
    dtype = "uint8" if "uint8" in variant else "float32"
    expected = sessions[0].run(None, {"images": pair.astype(np.float32)})[0]
    actual = sessions[1].run(None, {"images": pair.astype(dtype)})[0]
    np.testing.assert_array_equal(actual, expected)


def test_ranges_of_another_mean_are_those_of_its_pixels(tiny, ranges, make_request, tmp_path):
    spec = replace(tiny, mean_rgb=(10.0, 20.0, 30.0))
    request = make_request("int8")
    artifact = replace(request.artifact, spec=spec)
    path = tmp_path / "m.onnx"
    load_exporter("onnx").export(
        replace(request, artifact=artifact, ranges=replace(ranges, spec=spec)), path
    )
    qdq = QdqFile(path)
    scale, zero_point = qdq.parameters(qdq.quantize_of("mean_subtraction/nchw"))
    assert (scale, zero_point) == expected_parameters(-30.0, 245.0)
    assert tiny.mean_rgb == MEAN_RGB
