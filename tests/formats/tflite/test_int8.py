"""int8 TFLite files: their numbers, which are the ONNX file's, and what they compute."""

from dataclasses import dataclass, replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from vggexport.formats.registry import load_exporter
from vggexport.formats.tflite.file_reader import TfliteFile, TfliteTensor
from vggexport.formats.tflite.runner import TfliteRunner
from vggexport.metrics.parity import sqnr_db
from vggexport.network.spec import VGGSpec
from vggexport.quantization.int8 import ActivationQuantization

HIDDEN = ("block1_conv1", "block1_conv2", "block2_conv1", "fc1", "fc2")
CONVOLUTIONS = HIDDEN[:3]
LAYERS = (*HIDDEN, "predictions")
INPUT_OF = dict(zip(LAYERS, ("mean_subtraction", *HIDDEN), strict=True))
"""Whose scale a layer's input has; pooling and flattening pass their input's on."""

ACTIVATIONS = {
    "mean_subtraction/int8": "mean_subtraction/nchw",
    "block1_conv1": "block1_conv1",
    "block1_conv2": "block1_conv2",
    "block1_pool": "block1_pool",
    "block2_conv1": "block2_conv1",
    "block2_pool": "block2_pool",
    "flatten": "flatten",
    "fc1": "fc1",
    "fc2": "fc2",
}
"""int8 tensors by TFLite's names, and what ONNX calls them."""


def array_of(tensor: TfliteTensor) -> np.ndarray:
    return tensor.data.view(tensor.dtype).reshape(tensor.shape)


@dataclass
class Numbers:
    """Everything about a file that is quantized, in the native layout."""

    activations: dict[str, tuple[float, int]]
    kernels: dict[str, np.ndarray]
    kernel_scales: dict[str, np.ndarray]
    biases: dict[str, np.ndarray]
    bias_scales: dict[str, np.ndarray]

    def differences(self, other: "Numbers") -> list[str]:
        """What differs, by name; exactly equal is demanded."""
        return [
            f"{kind} {name}"
            for kind, mine in vars(self).items()
            for name, value in mine.items()
            if not np.array_equal(value, getattr(other, kind)[name])
        ]


def numbers_of_tflite(path) -> Numbers:
    tensors = {tensor.name: tensor for tensor in TfliteFile(path).tensors}
    kernels = {layer: tensors[f"{layer}/kernel"] for layer in LAYERS}
    biases = {layer: tensors[f"{layer}/bias"] for layer in LAYERS}
    return Numbers(
        {
            name: (float(tensors[name].scales[0]), int(tensors[name].zero_points[0]))
            for name in ACTIVATIONS
        },
        {layer: np.moveaxis(array_of(kernel), 0, -1) for layer, kernel in kernels.items()},
        {layer: kernel.scales for layer, kernel in kernels.items()},
        {layer: array_of(bias) for layer, bias in biases.items()},
        {layer: bias.scales for layer, bias in biases.items()},
    )


def native_kernel(layer: str, stored: np.ndarray, spec: VGGSpec) -> np.ndarray:
    """An ONNX kernel with its axes, and fc1's rows, put back."""
    if layer in CONVOLUTIONS:
        return np.einsum("oihw->hwio", stored)
    if layer != "fc1":
        return stored
    side, _, channels = spec.layer("block2_pool").output_shape
    return np.einsum("chwo->hwco", stored.reshape(channels, side, side, -1)).reshape(stored.shape)


def numbers_of_onnx(path, spec: VGGSpec) -> Numbers:
    graph = onnx.load(path).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    quantize = {node.input[0]: node for node in graph.node if node.op_type == "QuantizeLinear"}
    dequantize = {node.input[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}

    def scales(tensor: str) -> np.ndarray:
        return constants[dequantize[tensor].input[1]]

    return Numbers(
        {
            name: (float(constants[node.input[1]]), int(constants[node.input[2]]))
            for name, tensor in ACTIVATIONS.items()
            for node in (quantize[tensor],)
        },
        {layer: native_kernel(layer, constants[f"{layer}/kernel"], spec) for layer in LAYERS},
        {layer: scales(f"{layer}/kernel") for layer in LAYERS},
        {layer: constants[f"{layer}/bias"] for layer in LAYERS},
        {layer: scales(f"{layer}/bias") for layer in LAYERS},
    )


@pytest.fixture(scope="module")
def path(export):
    return export("int8", format="tflite")


@pytest.fixture(scope="module")
def full_path(export):
    return export("int8", "uint8", None, format="tflite", full_integer=True)


@pytest.fixture(scope="module")
def numbers(path) -> Numbers:
    return numbers_of_tflite(path)


@pytest.fixture(scope="module")
def onnx_numbers(export, tiny) -> Numbers:
    return numbers_of_onnx(export("int8"), tiny)


@pytest.fixture(scope="module")
def bounds(ranges) -> dict[str, tuple[float, float]]:
    return {"mean_subtraction": (0 - 123.68, 255 - 103.939)} | dict(ranges.ranges)


def test_the_onnx_file_of_the_same_ranges_has_the_same_numbers(numbers, onnx_numbers):
    assert numbers.differences(onnx_numbers) == []
    sizes = {kind: len(values) for kind, values in vars(numbers).items()}
    assert sizes == {
        "activations": 9,
        "kernels": 6,
        "kernel_scales": 6,
        "biases": 6,
        "bias_scales": 6,
    }
    for layer in LAYERS:  # arrays, and none that is all of one value
        assert numbers.kernels[layer].dtype == onnx_numbers.kernels[layer].dtype == np.int8
        assert len(np.unique(numbers.kernels[layer])) > 10
        assert len(np.unique(numbers.biases[layer])) > 3


def test_corrected_biases_are_the_same_in_both_formats_and_touch_nothing_but_integers(
    make_request, ranges, tiny, tiny_weights, tmp_path, numbers
):
    random = np.random.default_rng(5)
    counts = {layer.name: layer.output_shape[-1] for layer in tiny.weighted_layers}
    shifts = {name: tuple(random.normal(0, 0.1, count)) for name, count in counts.items()}

    def corrected(precision, file_format):
        request = make_request(precision, format=file_format)
        request = replace(request, ranges=replace(ranges, bias_corrections=shifts))
        file = tmp_path / f"{precision}.{file_format}"
        load_exporter(file_format).export(request, file)
        return file

    int8 = numbers_of_tflite(corrected("int8", "tflite"))
    assert int8.differences(numbers_of_onnx(corrected("int8", "onnx"), tiny)) == []
    assert int8.differences(numbers) == [f"biases {layer}" for layer in LAYERS]
    mixed = {tensor.name: tensor for tensor in TfliteFile(corrected("int8-w4", "tflite")).tensors}
    for layer in LAYERS:
        expected = (tiny_weights[f"{layer}/bias"] + np.float32(shifts[layer])).astype(np.float64)
        real = int8.biases[layer] * int8.bias_scales[layer].astype(np.float64)
        np.testing.assert_allclose(real, expected, atol=int8.bias_scales[layer].max())
        bias = array_of(mixed[f"{layer}/bias"])
        wanted = int8.biases[layer] if layer in CONVOLUTIONS else tiny_weights[f"{layer}/bias"]
        np.testing.assert_array_equal(bias, wanted)


def test_the_full_integer_file_has_the_same_numbers_but_for_its_mean(full_path, onnx_numbers):
    tensors = TfliteFile(full_path).tensors
    (subtracted,) = (tensor for tensor in tensors if tensor.name == "mean_subtraction")
    assert subtracted.dtype == "int8"
    expected = onnx_numbers.activations["mean_subtraction/int8"]
    assert (float(subtracted.scales[0]), int(subtracted.zero_points[0])) == expected


def test_the_convolutions_of_an_int8_w4_file_have_the_same_numbers(export, onnx_numbers):
    tensors = {t.name: t for t in TfliteFile(export("int8-w4", format="tflite")).tensors}
    for layer in CONVOLUTIONS:
        kernel, bias = tensors[f"{layer}/kernel"], tensors[f"{layer}/bias"]
        native = np.moveaxis(array_of(kernel), 0, -1)
        np.testing.assert_array_equal(native, onnx_numbers.kernels[layer])
        np.testing.assert_array_equal(kernel.scales, onnx_numbers.kernel_scales[layer])
        np.testing.assert_array_equal(array_of(bias), onnx_numbers.biases[layer])
        np.testing.assert_array_equal(bias.scales, onnx_numbers.bias_scales[layer])


def unpacked(packed: np.ndarray) -> np.ndarray:
    """Two values 0...15 of each byte, the low half first."""
    return np.stack([packed & 0xF, packed >> 4], axis=-1).reshape(-1).astype(int)


@pytest.mark.parametrize("layer", ["fc1", "fc2", "predictions"])
def test_int4_kernels_of_both_formats_are_the_same_integers_and_scales(export, layer):
    """MatMulNBits has 8 for zero, TFLite two's complement; both have outputs first."""
    tensors = {t.name: t for t in TfliteFile(export("int8-w4", format="tflite")).tensors}
    graph = onnx.load(export("int8-w4")).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    theirs = unpacked(constants[f"{layer}/kernel"]) - 8
    ours = (unpacked(tensors[f"{layer}/kernel"].data) ^ 8) - 8
    np.testing.assert_array_equal(ours, theirs)
    assert (ours.min(), ours.max()) == (-8, 7)
    scales = array_of(tensors[f"{layer}/kernel/scales"])
    np.testing.assert_array_equal(scales, constants[f"{layer}/kernel/scales"])
    assert scales.shape == (tensors[layer].shape[1], len(ours) // 64 // tensors[layer].shape[1])


def last_bit(data: bytes, old: bytes, position: int = 0) -> bytes:
    """The file with the lowest bit of one number changed, which must be in it."""
    start = data.index(old) + position
    return data[:start] + bytes([data[start] ^ 1]) + data[start + 1 :]


@pytest.mark.parametrize(
    ("kind", "name", "dtype"),
    [
        ("activations", "block1_conv1", np.float32),
        ("kernel_scales", "fc1", np.float32),
        ("bias_scales", "block2_conv1", np.float32),
        ("kernels", "fc2", np.int8),
        ("biases", "block1_conv1", np.int32),
    ],
)
def test_the_last_bit_of_any_number_is_seen(
    path, numbers, onnx_numbers, tmp_path, kind, name, dtype
):
    """The comparison above, on a file in which one number is off."""
    value = getattr(numbers, kind)[name]
    stored = np.asarray(value[0] if kind == "activations" else np.moveaxis(value, -1, 0), dtype)
    changed = tmp_path / "changed.tflite"
    changed.write_bytes(last_bit(path.read_bytes(), stored.tobytes()))
    found = numbers_of_tflite(changed).differences(onnx_numbers)
    assert f"{kind} {name}" in found
    assert {difference.split()[0] for difference in found} == {kind}


def test_ranges_a_little_wider_give_other_scales(make_request, ranges, onnx_numbers, tmp_path):
    low, high = ranges.ranges["fc1"]
    wider = replace(ranges, ranges=dict(ranges.ranges) | {"fc1": (low, high * 1.001)})
    request = replace(make_request("int8", format="tflite"), ranges=wider)
    load_exporter("tflite").export(request, changed := tmp_path / "m.tflite")
    found = numbers_of_tflite(changed).differences(onnx_numbers)
    assert {"activations fc1", "biases fc2", "bias_scales fc2"} == set(found)


def test_the_weights_of_a_permuted_fc1_are_seen(numbers, onnx_numbers):
    permuted = numbers.kernels["fc1"].reshape(4, 4, 8, -1).transpose(2, 0, 1, 3)
    turned = replace(numbers, kernels=numbers.kernels | {"fc1": permuted.reshape(128, -1)})
    assert turned.differences(onnx_numbers) == ["kernels fc1"]


def test_activations_have_the_scale_and_zero_point_of_their_range(numbers, bounds):
    sources = {"mean_subtraction/int8": "mean_subtraction", "block1_pool": "block1_conv2"}
    sources |= {"block2_pool": "block2_conv1", "flatten": "block2_conv1"}
    for name, (scale, zero_point) in numbers.activations.items():
        low, high = bounds[sources.get(name, name)]
        assert scale == np.float32((high - low) / 255)
        assert zero_point == round(-128 - low / scale)


def test_the_last_layer_reads_the_integers_of_fc2_in_int16_without_a_zero_point(path, numbers):
    tensors = {tensor.name: tensor for tensor in TfliteFile(path).tensors}
    widened = tensors["fc2/int16"]
    assert widened.scales == np.float32(numbers.activations["fc2"][0])
    assert widened.zero_points == [0]
    assert tensors["predictions/bias"].dtype == "int64"


def test_int16_logits_reach_eight_times_as_far_as_calibration_saw(path, full_path, bounds):
    tensors = {tensor.name: tensor for tensor in TfliteFile(path).tensors}
    low, high = bounds["predictions"]
    narrow = ActivationQuantization.from_range(low, high)
    wide = tensors["predictions"]
    assert (wide.dtype, wide.zero_points) == ("int16", [0])
    # In steps of the narrow one, 127 or 128 of them on the side further from its zero point.
    reach = wide.scales[0] * 32767
    assert 8 * max(-low, high) * 0.99 < reach < 8 * (max(-low, high) + narrow.scale) * 1.01
    assert wide.scales[0] < narrow.scale / 16
    full = {tensor.name: tensor for tensor in TfliteFile(full_path).tensors}["predictions"]
    assert (full.dtype, full.zero_points) == ("int8", [narrow.zero_point])
    assert full.scales == np.float32(narrow.scale)


@pytest.fixture(scope="module")
def rounded(bounds):
    """Activations on their 256 values."""

    def to_integers(name: str, values: np.ndarray) -> np.ndarray:
        low, high = bounds[name]
        scale = float(np.float32((high - low) / 255))
        zero_point = round(-128 - low / scale)
        integers = np.clip(np.rint(values / scale) + zero_point, -128, 127)
        return (integers - zero_point) * scale

    return to_integers


@pytest.fixture(scope="module")
def integer_weights(numbers) -> dict[str, np.ndarray]:
    """The file's own integers as real values."""
    weights = {}
    for layer in LAYERS:
        scales = numbers.kernel_scales[layer].astype(np.float64)
        weights[f"{layer}/kernel"] = numbers.kernels[layer] * scales
        scales = numbers.bias_scales[layer].astype(np.float64)
        weights[f"{layer}/bias"] = numbers.biases[layer] * scales
    return weights


@pytest.fixture(scope="module")
def simulated(tiny, integer_weights, images, numpy_network, rounded) -> dict[str, np.ndarray]:
    return numpy_network(tiny, integer_weights, images, after=rounded)


def test_every_layer_is_what_the_integers_say(path, numbers, simulated, images):
    with TfliteRunner(path) as runner:
        found = runner.activations(images, ["mean_subtraction", *list(ACTIVATIONS)[1:]])
    for name, values in found.items():
        scale, _ = numbers.activations.get(name) or numbers.activations[f"{name}/int8"]
        steps = np.rint(values / scale) - np.rint(simulated[name] / scale)
        # LiteRT requantizes by a float32 multiplier, numpy divides in float64: values within 1e-6
        # of the middle of two steps may fall on the other one, and what follows with them.
        assert np.abs(steps).max() <= 1, name
        assert np.mean(steps != 0) < 0.005, name


def test_the_logits_are_what_the_integers_say(
    path, simulated, tiny, tiny_weights, images, numpy_network
):
    with TfliteRunner(path) as runner:
        found = runner.activations(images, ["predictions", "probabilities"])
    loss = sqnr_db(
        numpy_network(tiny, tiny_weights, images)["predictions"], simulated["predictions"]
    )
    agreement = sqnr_db(simulated["predictions"], found["predictions"])
    # A step in one activation or two, and int16's steps, against the rounding of all of them.
    assert agreement > loss + 10
    assert agreement > 45
    exponentials = np.exp(found["predictions"].astype(np.float64))
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found["probabilities"], softmax, rtol=0, atol=1e-6)  # in float32


def test_a_network_of_other_integers_is_far_from_it(
    path, tiny, integer_weights, images, numpy_network, rounded
):
    """The measure above, on a kernel of which one output channel is off by a tenth."""
    kernel = integer_weights["block2_conv1/kernel"].copy()
    kernel[..., 3] *= 1.1
    changed = integer_weights | {"block2_conv1/kernel": kernel}
    other = numpy_network(tiny, changed, images, after=rounded)["predictions"]
    with TfliteRunner(path) as runner:
        found = runner.activations(images, ["predictions"])["predictions"]
    assert sqnr_db(other, found) < 45


def test_a_full_integer_file_is_what_the_integers_say(
    full_path, tiny, integer_weights, images, numpy_network, rounded, simulated
):
    with TfliteRunner(full_path) as runner:
        found = runner.activations(images, [layer.name for layer in tiny.layers])
    # 0.03 of a pixel from the mean in int8, which may turn any step of 1.08 pixels.
    assert np.abs(found["mean_subtraction"] - simulated["mean_subtraction"]).max() < 1.1
    for name in HIDDEN:
        assert sqnr_db(simulated[name], found[name]) > 30, name
    # The softmax is in steps of 1/256, on logits in steps of int8.
    probabilities = simulated["probabilities"]
    np.testing.assert_allclose(found["probabilities"], probabilities, rtol=0, atol=0.03)
    steps = found["probabilities"] * 256
    np.testing.assert_array_equal(steps, np.rint(steps))


def test_logits_beyond_the_calibrated_range_are_not_clipped_but_in_a_full_integer_file(
    make_request, ranges, tiny_weights, images, tmp_path, numpy_network, tiny
):
    """Calibration saw logits a quarter as large as those to come."""
    quarter = tuple(bound / 4 for bound in ranges.ranges["predictions"])
    narrow = replace(ranges, ranges=dict(ranges.ranges) | {"predictions": quarter})
    expected = numpy_network(tiny, tiny_weights, images)["predictions"]
    found = {}
    for full_integer in (False, True):
        request = make_request("int8", "uint8", format="tflite", full_integer=full_integer)
        path = tmp_path / f"{full_integer}.tflite"
        load_exporter("tflite").export(replace(request, ranges=narrow), path)
        with TfliteRunner(path) as runner:
            found[full_integer] = runner.activations(images, ["predictions"])["predictions"]
    assert sqnr_db(expected, found[False]) > 25
    assert sqnr_db(expected, found[True]) < 10
