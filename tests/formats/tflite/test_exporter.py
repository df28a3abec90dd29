"""TFLite files in every precision: weights, what they compute, and who can run them."""

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from vggexport.errors import InputError, OutputError
from vggexport.formats.registry import load_exporter
from vggexport.formats.tflite import exporter as tflite_exporter
from vggexport.formats.tflite import file_writer
from vggexport.formats.tflite.bound_weights import bind
from vggexport.formats.tflite.exporter import build_graph
from vggexport.formats.tflite.file_reader import TfliteFile
from vggexport.formats.tflite.file_writer import write_model
from vggexport.metrics.parity import centred_logits, sqnr_db
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.quantization.int4 import quantize_blocks

PRECISIONS = ["float32", "float16", "dynamic-int8", "int8", "int8-w4"]
BATCHES = [1, 3, None]
VARIANTS = [
    *itertools.product(PRECISIONS, ("float32", "uint8"), BATCHES, (False,)),
    *itertools.product(("int8",), ("uint8",), BATCHES, (True,)),
]
CONVOLUTIONS = ["block1_conv1", "block1_conv2", "block2_conv1"]
LAYERS = [*CONVOLUTIONS, "fc1", "fc2", "predictions"]

MIN_LOGITS_SQNR_DB = {
    "float32": 120,  # float32 sums of at most 128 products: 134 dB measured
    "float16": 55,  # 11 bits a weight: 59.5 dB measured on one image, 65 dB on six
    "dynamic-int8": 27,  # 8 bits of weights and activations: 30.4 dB and 33.2 dB
    "int8": 27,  # the same, with one scale for all images: 29.5 dB and 31.2 dB
    "int8-w4": 10,  # 4 bits a weight in the fully connected layers: 11.5 dB and 14.0 dB
}
"""Against the numpy network on the float32 weights. Axes in another order, a wrong scale or doubled
mean subtraction give less than 7 dB."""


@pytest.fixture(scope="module")
def exporter():
    return load_exporter("tflite")


@pytest.fixture(scope="module")
def expected(tiny, tiny_weights, images, numpy_network) -> np.ndarray:
    return numpy_network(tiny, tiny_weights, images)["probabilities"]


@pytest.fixture
def tflite(export):
    def path(precision, input_dtype="float32", batch=None, full_integer=False):
        return export(precision, input_dtype, batch, format="tflite", full_integer=full_integer)

    return path


def run_file(path, images: np.ndarray, interpreter_class=Interpreter) -> np.ndarray:
    interpreter = interpreter_class(model_path=str(path), num_threads=1)
    (source,) = interpreter.get_input_details()
    (target,) = interpreter.get_output_details()
    if source["shape_signature"][0] < 0:
        interpreter.resize_tensor_input(source["index"], images.shape, strict=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], images.astype(source["dtype"]))
    interpreter.invoke()
    return interpreter.get_tensor(target["index"])


def logits_sqnr(expected: np.ndarray, actual: np.ndarray) -> float:
    return sqnr_db(centred_logits(expected), centred_logits(actual))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v)))
def test_every_variant_runs_with_the_interface_asked_for(tflite, images, expected, variant):
    precision, input_dtype, batch, full_integer = variant
    path = tflite(*variant)
    interpreter = Interpreter(model_path=str(path))
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (source["dtype"], target["dtype"]) == (
        np.dtype(input_dtype),
        np.uint8 if full_integer else np.float32,
    )
    assert source["shape_signature"].tolist() == [batch or -1, 16, 16, 3]
    assert target["shape_signature"].tolist() == [batch or -1, 5]
    count = batch or len(images)
    output = run_file(path, images[:count])
    assert output.shape == (count, 5)
    if full_integer:
        # In steps of 1/256, and what int8 loses in the logits, as below: 0.02 measured.
        np.testing.assert_allclose(output / 256, expected[:count], rtol=0, atol=0.03)
    else:
        floor = MIN_LOGITS_SQNR_DB[precision]
        assert logits_sqnr(expected[:count], output) > floor


@pytest.mark.parametrize("precision", PRECISIONS)
def test_images_of_either_type_and_in_any_number_give_the_same(tflite, images, precision):
    expected = run_file(tflite(precision), images)
    np.testing.assert_array_equal(run_file(tflite(precision, "uint8"), images), expected)
    for batch in (1, 3):
        found = [
            run_file(tflite(precision, "float32", batch), images[start : start + batch])
            for start in range(0, len(images), batch)
        ]
        # Kernels for one image add up in another order than those for several, which rounding to
        # int8 turns into a step here and there.
        limit = {"float32": 1e-6, "float16": 1e-6}.get(precision, 2e-3)
        np.testing.assert_allclose(np.concatenate(found), expected, rtol=0, atol=limit)


def test_float32_is_the_numpy_network(tflite, images, expected):
    # Sums of at most 128 float32 products: 2**-24 of a probability up to 1 for each layer.
    np.testing.assert_allclose(run_file(tflite("float32"), images), expected, rtol=0, atol=1e-6)


def broken(weights: dict, change: str) -> dict:
    if change == "swapped channels":
        kernel = weights["block1_conv1/kernel"][:, :, ::-1]
        return weights | {"block1_conv1/kernel": kernel}
    if change == "rows of fc1 in CHW order":
        rows = weights["fc1/kernel"].reshape(4, 4, 8, -1).transpose(2, 0, 1, 3)
        return weights | {"fc1/kernel": np.ascontiguousarray(rows).reshape(128, -1)}
    kernel = weights["block2_conv1/kernel"].transpose(1, 0, 2, 3)
    return weights | {"block2_conv1/kernel": np.ascontiguousarray(kernel)}


@pytest.mark.parametrize(
    "change", ["swapped channels", "rows of fc1 in CHW order", "kernel on its side"]
)
def test_a_layout_gone_wrong_would_be_far_from_the_numpy_network(
    exporter, make_request, tiny_weights, images, expected, tmp_path, change
):
    """What the limits above can tell apart."""
    request = replace(make_request(format="tflite"), weights=broken(tiny_weights, change))
    exporter.export(request, path := tmp_path / "broken.tflite")
    assert logits_sqnr(expected, run_file(path, images)) < 7


@pytest.mark.parametrize(("precision", "dtype"), [("float32", "float32"), ("float16", "float16")])
def test_every_weight_is_in_the_file_with_its_outputs_first(tflite, tiny_weights, precision, dtype):
    tensors = {t.name: t for t in TfliteFile(tflite(precision)).tensors if t.data.size}
    assert tensors.keys() == {*tiny_weights, "mean_subtraction/mean_rgb", "flatten/shape"}
    for name, array in tiny_weights.items():
        turned = {4: "hwio->ohwi", 2: "io->oi", 1: "o->o"}[array.ndim]
        stored = tensors[name]
        assert stored.dtype == dtype
        np.testing.assert_array_equal(
            stored.data.view(dtype).reshape(stored.shape), np.einsum(turned, array).astype(dtype)
        )
    mean = tensors["mean_subtraction/mean_rgb"].data.view(np.float32)
    np.testing.assert_array_equal(mean, np.float32([123.68, 116.779, 103.939]))


def test_dynamic_int8_kernels_reach_127_in_each_output(tflite, tiny_weights):
    tensors = {tensor.name: tensor for tensor in TfliteFile(tflite("dynamic-int8")).tensors}
    for layer in LAYERS:
        stored, kernel = tensors[f"{layer}/kernel"], tiny_weights[f"{layer}/kernel"]
        integers = stored.data.view(np.int8).reshape(stored.shape[0], -1).T
        rows = kernel.reshape(-1, kernel.shape[-1]) if kernel.ndim == 2 else None
        if rows is None:
            rows = np.einsum("hwio->ohwi", kernel).reshape(kernel.shape[-1], -1).T
        assert stored.axis == 0
        np.testing.assert_array_equal(stored.zero_points, np.zeros(len(stored.scales)))
        assert np.abs(integers.astype(int)).max(axis=0).tolist() == [127] * kernel.shape[-1]
        # Half a step, but for the quotient's own rounding to float32.
        assert (np.abs(integers * stored.scales - rows) <= stored.scales * 0.50001).all()
        bias = tensors[f"{layer}/bias"].data.view(np.float32)
        np.testing.assert_array_equal(bias, tiny_weights[f"{layer}/bias"])


def test_int4_kernels_are_packed_with_the_scales_of_their_blocks(tflite, tiny_weights):
    file = TfliteFile(tflite("int8-w4"))
    tensors = {tensor.name: tensor for tensor in file.tensors}
    for layer in ("fc1", "fc2", "predictions"):
        integers, scales = quantize_blocks(tiny_weights[f"{layer}/kernel"])
        stored = tensors[f"{layer}/kernel"]
        assert (stored.dtype, stored.block_size) == ("int4", 64)
        assert stored.shape == integers.T.shape
        halves = np.stack([stored.data & 0xF, stored.data >> 4], axis=1).reshape(stored.shape)
        signed = (halves.astype(np.int8) ^ 8) - 8
        np.testing.assert_array_equal(signed, integers.T)
        stored = tensors[f"{layer}/kernel/scales"]
        assert stored.dtype == "float16"
        np.testing.assert_array_equal(stored.data.view(np.float16).reshape(stored.shape), scales.T)


def test_int4_is_computed_as_the_integers_and_scales_say(
    tflite, tiny, tiny_weights, images, numpy_network
):
    """int4 in blocks is not merely near the float network: it is near its own integers."""
    weights = dict(tiny_weights)
    for layer in ("fc1", "fc2", "predictions"):
        integers, scales = quantize_blocks(tiny_weights[f"{layer}/kernel"])
        weights[f"{layer}/kernel"] = integers * np.repeat(scales.astype(np.float64), 64, axis=0)
    simulated = numpy_network(tiny, weights, images)["probabilities"]
    actual = run_file(tflite("int8-w4"), images)
    # What is left is the rounding of activations to 8 bits, as in dynamic int8.
    assert logits_sqnr(simulated, actual) > MIN_LOGITS_SQNR_DB["dynamic-int8"]


@pytest.mark.parametrize(
    ("precision", "bytes_a_weight", "bytes_a_fc_weight"),
    [
        ("float32", 4, 4),
        ("float16", 2, 2),
        ("dynamic-int8", 1, 1),
        ("int8", 1, 1),
        ("int8-w4", 1, 0.5 + 2 / 64),
    ],
)
def test_a_file_has_the_bytes_of_its_weights_and_some_kilobytes(
    exporter, make_request, make_weights, tmp_path, tiny, precision, bytes_a_weight,
    bytes_a_fc_weight,
):  # fmt: skip
    request = make_request("float32", format="tflite")
    spec = replace(tiny, hidden=fully_connected(640, 640))
    needs_ranges = precision in {"int8", "int8-w4"}
    request = replace(
        make_request(precision, format="tflite"), weights=make_weights(spec),
        artifact=replace(make_request(precision, format="tflite").artifact, spec=spec),
    )  # fmt: skip
    assert (request.ranges is not None) == needs_ranges
    exporter.export(request, path := tmp_path / "m.tflite")
    convolutions = sum(spec.layer(name).kernel.size for name in CONVOLUTIONS)
    connected = sum(layer.kernel.size for layer in spec.weighted_layers) - convolutions
    biases = 4 * sum(layer.bias.size for layer in spec.weighted_layers)
    weights = convolutions * bytes_a_weight + connected * bytes_a_fc_weight + biases
    # The head, with the scales of some hundred channels, and the labels.
    assert weights < path.stat().st_size + biases < weights + biases + 40_000


def test_weights_are_in_the_file_once_and_taken_one_at_a_time(make_request, tiny, tiny_weights):
    """A mapping that knows what was asked for, and what was in the file by then."""
    file, taken = io.BytesIO(), []

    class Recorded(dict):
        def __getitem__(self, name):
            taken.append((name, len(file.getvalue())))
            return super().__getitem__(name)

    artifact = make_request(format="tflite").artifact
    graph, weights = build_graph(artifact, {}), Recorded(tiny_weights)
    write_model(file, graph, bind(artifact, weights, {}), description="", metadata={})
    assert [name for name, _ in taken] == list(tiny.tensors)
    sizes = dict(taken)
    for layer, following in itertools.pairwise(LAYERS):
        grown = sizes[f"{following}/kernel"] - sizes[f"{layer}/kernel"]
        assert grown >= tiny.layer(layer).parameters * 4  # the layer before is in the file already


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_weight_of_the_graph_is_bound_exactly_once(make_request, tiny_weights, precision):
    request = make_request(precision, format="tflite")
    activations = request.ranges.quantization() if request.ranges else {}
    graph = build_graph(request.artifact, activations)
    bound = [value.name for value in bind(request.artifact, tiny_weights, activations)]
    assert sorted(bound) == sorted(graph.weights)


@pytest.mark.parametrize("variant", [(p,) for p in PRECISIONS], ids=str)
def test_data_of_every_constant_begins_at_a_multiple_of_sixteen(tflite, variant):
    file = TfliteFile(tflite(*variant))
    start = np.frombuffer(file._bytes, np.uint8).ctypes.data
    positions = {t.name: t.data.ctypes.data - start for t in file.tensors if t.data.size}
    assert {name: place % 16 for name, place in positions.items() if place % 16} == {}


@pytest.mark.parametrize("variant", [(p,) for p in PRECISIONS], ids=str)
def test_the_same_request_gives_the_same_bytes(exporter, make_request, tflite, tmp_path, variant):
    exporter.export(make_request(*variant, format="tflite"), path := tmp_path / "again.tflite")
    assert path.read_bytes() == tflite(*variant).read_bytes()


def test_a_file_of_a_dynamic_batch_can_be_resized_again_and_again(tflite, images):
    interpreter = Interpreter(model_path=str(tflite("float32")))
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    for count in (6, 1, 4):
        interpreter.resize_tensor_input(source["index"], [count, 16, 16, 3], strict=True)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], images[:count].astype(np.float32))
        interpreter.invoke()
        assert interpreter.get_tensor(target["index"]).shape == (count, 5)
    with pytest.raises(RuntimeError, match="Attempting to resize dimension 1"):
        interpreter.resize_tensor_input(source["index"], [1, 32, 32, 3], strict=True)


@pytest.mark.parametrize("variant", [("float32",), ("int8", "uint8", None, True)], ids=str)
def test_the_signature_takes_images_and_gives_probabilities(tflite, images, variant):
    path = tflite(*variant)
    interpreter = Interpreter(model_path=str(path))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["images"], "outputs": ["probabilities"]}
    }
    runner = interpreter.get_signature_runner()
    (dtype,) = {details["dtype"] for details in runner.get_input_details().values()}
    found = runner(images=images[:2].astype(dtype))
    assert list(found) == ["probabilities"]
    np.testing.assert_array_equal(found["probabilities"], run_file(path, images[:2]))


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("full_integer", [False, True])
def test_tensorflows_own_interpreter_runs_int8_files(tflite, images, full_integer):
    """Older than LiteRT: it has no operator and no type that the newer one alone knows."""
    import tensorflow as tf

    path = tflite("int8", "uint8", None, full_integer)
    output = run_file(path, images, tf.lite.Interpreter)
    step = 1 if full_integer else 2e-3  # other kernels may round to the other of two integers
    np.testing.assert_allclose(
        output.astype(np.float32), run_file(path, images).astype(np.float32), rtol=0, atol=step
    )


@pytest.mark.parametrize("precision", ["int8", "int8-w4"])
def test_integer_precisions_without_ranges_are_refused(exporter, make_request, tmp_path, precision):
    request = replace(make_request(precision, format="tflite"), ranges=None)
    with pytest.raises(InputError, match=f"{precision} needs activation ranges: calibrate"):
        exporter.export(request, path := tmp_path / "m.tflite")
    assert not path.exists()


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic-int8", "int8-w4"])
def test_full_integer_is_for_int8_alone(exporter, make_request, tmp_path, precision):
    request = make_request(precision, "uint8", format="tflite", full_integer=True)
    with pytest.raises(InputError, match=f"full integer is int8, not {precision}"):
        exporter.export(request, path := tmp_path / "m.tflite")
    assert not path.exists()


def test_full_integer_with_float_images_is_refused(exporter, make_request, tmp_path):
    request = make_request("int8", "float32", format="tflite", full_integer=True)
    with pytest.raises(InputError, match="full integer takes uint8 images, not float32"):
        exporter.export(request, path := tmp_path / "m.tflite")
    assert not path.exists()


def test_int4_of_layers_that_do_not_divide_into_blocks_is_refused(
    exporter, make_request, tiny, tmp_path
):
    request = make_request("int8-w4", format="tflite")
    request = replace(
        request,
        artifact=replace(request.artifact, spec=replace(tiny, hidden=fully_connected(60, 60))),
    )
    with pytest.raises(InputError, match="fc2 has 60: choose other fc_units"):
        exporter.export(request, path := tmp_path / "m.tflite")
    assert not path.exists()


def test_a_network_of_more_than_two_gibibytes_is_refused_before_a_weight_is_read(
    exporter, make_request, tmp_path
):
    """VGG-D with 16384 units: 2.8 GB of float32, none of which is made here."""
    request = make_request(format="tflite")
    artifact = replace(request.artifact, spec=VGGSpec.named("D", fc_units=(16384, 16384)))
    with pytest.raises(OutputError, match=r"would have 2,8\d\d,\d\d\d,\d\d\d bytes"):
        exporter.export(replace(request, artifact=artifact, weights={}), tmp_path / "m.tflite")
    assert (tmp_path / "m.tflite").stat().st_size == 0


def test_a_weight_that_is_missing_or_of_another_shape_never_becomes_a_file(
    exporter, make_request, tiny_weights, tmp_path
):
    request = make_request(format="tflite")
    turned = tiny_weights | {"fc2/kernel": tiny_weights["fc1/kernel"]}
    with pytest.raises(file_writer.BindingError, match="fc2/kernel"):
        exporter.export(replace(request, weights=turned), tmp_path / "m.tflite")
    lacking = {name: array for name, array in tiny_weights.items() if name != "fc1/bias"}
    with pytest.raises(KeyError, match="fc1/bias"):
        exporter.export(replace(request, weights=lacking), tmp_path / "m.tflite")


def test_a_bind_that_leaves_a_weight_out_is_a_defect_that_shows(
    exporter, make_request, tmp_path, monkeypatch
):
    def bind_all_but_the_last(*arguments):
        yield from list(bind(*arguments))[:-1]

    monkeypatch.setattr(tflite_exporter, "bind", bind_all_but_the_last)
    with pytest.raises(file_writer.BindingError, match="never bound: predictions/bias"):
        exporter.export(make_request(format="tflite"), tmp_path / "m.tflite")


def test_weights_beyond_float16_become_infinite_without_a_warning(
    exporter, make_request, tiny_weights, tmp_path
):
    """The check of the file finds them."""
    huge = tiny_weights | {"fc2/kernel": tiny_weights["fc2/kernel"] * np.float32(1e6)}
    request = replace(make_request("float16", format="tflite"), weights=huge)
    exporter.export(request, path := tmp_path / "m.tflite")
    tensors = {tensor.name: tensor for tensor in TfliteFile(path).tensors}
    assert np.isinf(tensors["fc2/kernel"].data.view(np.float16)).any()
