"""Float ONNX files: operators, names, types, weights, metadata, and what they compute."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from vggexport.artifact import METADATA_KEY, Artifact
from vggexport.errors import InputError, OutputError
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.keras.model import build_model
from vggexport.formats.onnx import file_writer
from vggexport.formats.onnx.file_writer import BindingError
from vggexport.formats.registry import load_exporter
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks

VARIANTS = [
    (precision, input_dtype, batch, opset)
    for precision in ("float32", "float16", "int8")
    for input_dtype in ("float32", "uint8")
    for batch, opset in ((None, 13), (None, 17), (None, 18), (2, 17))
]
FLOAT32_NODES = [
    ("Sub", "mean_subtraction"),
    ("Transpose", "mean_subtraction/nchw"),
    ("Conv", "block1_conv1"),
    ("Relu", "block1_conv1/relu"),
    ("Conv", "block1_conv2"),
    ("Relu", "block1_conv2/relu"),
    ("MaxPool", "block1_pool"),
    ("Conv", "block2_conv1"),
    ("Relu", "block2_conv1/relu"),
    ("MaxPool", "block2_pool"),
    ("Flatten", "flatten"),
    ("Gemm", "fc1"),
    ("Relu", "fc1/relu"),
    ("Gemm", "fc2"),
    ("Relu", "fc2/relu"),
    ("Gemm", "predictions"),
    ("Softmax", "probabilities"),
]
CAST_TO_FLOAT16 = ("Cast", "mean_subtraction/nchw/float16")
CAST_TO_FLOAT32 = ("Cast", "predictions/float32")
CAST_FROM_UINT8 = ("Cast", "images/float32")


@pytest.fixture(scope="module")
def exporter():
    return load_exporter("onnx")


def float_nodes(precision: str, input_dtype: str) -> list[tuple[str, str]]:
    nodes = list(FLOAT32_NODES)
    if precision == "float16":
        nodes.insert(2, CAST_TO_FLOAT16)
        nodes.insert(-1, CAST_TO_FLOAT32)
    return [CAST_FROM_UINT8, *nodes] if input_dtype == "uint8" else nodes


def nodes_of(model: onnx.ModelProto) -> list[tuple[str, str]]:
    return [(node.op_type, node.name) for node in model.graph.node]


def initializers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def onnx_weights(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tiny network's weights in ONNX layout, converted index by index."""
    converted = dict(weights)
    for name in ("block1_conv1", "block1_conv2", "block2_conv1"):
        converted[f"{name}/kernel"] = np.einsum("hwio->oihw", weights[f"{name}/kernel"])
    native = weights["fc1/kernel"]
    permuted = np.empty_like(native)
    side, channels = 4, 8
    for row in range(side):
        for column in range(side):
            for channel in range(channels):
                in_chw = (channel * side + row) * side + column
                in_hwc = (row * side + column) * channels + channel
                permuted[in_chw] = native[in_hwc]
    converted["fc1/kernel"] = permuted
    return converted


def run_file(path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"images": images})[0]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_written_file_passes_the_full_check_with_the_interface_asked_for(export, variant):
    _, input_dtype, batch, opset = variant
    path = export(*variant)
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", opset)]
    (images,), (output,) = model.graph.input, model.graph.output
    assert (images.name, output.name) == ("images", "probabilities")
    names = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.UINT8: "uint8"}
    assert names[images.type.tensor_type.elem_type] == input_dtype
    assert names[output.type.tensor_type.elem_type] == "float32"
    shapes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (images, output)
    ]
    assert shapes == [[batch or "batch", 16, 16, 3], [batch or "batch", 5]]


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v[0] != "int8"], ids=str)
def test_operators_and_their_names(export, variant):
    model = onnx.load(export(*variant))
    assert nodes_of(model) == float_nodes(variant[0], variant[1])
    assert [list(a.ints) for n in model.graph.node for a in n.attribute if a.name == "perm"] == [
        [0, 3, 1, 2]
    ]


def test_the_activation_behind_each_layer_bears_its_name(export):
    outputs = {name for node in onnx.load(export()).graph.node for name in node.output}
    assert {"block1_conv1", "block1_pool", "flatten", "fc1", "predictions"} <= outputs


@pytest.mark.parametrize(("precision", "dtype"), [("float32", "float32"), ("float16", "float16")])
def test_every_weight_is_in_the_file_in_onnx_layout(export, tiny_weights, precision, dtype):
    found = initializers(onnx.load(export(precision)))
    np.testing.assert_array_equal(
        found.pop("mean_subtraction/mean_rgb"), np.float32([123.68, 116.779, 103.939])
    )
    expected = onnx_weights(tiny_weights)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == dtype
        np.testing.assert_array_equal(found[name], array.astype(dtype), err_msg=name)


@pytest.mark.parametrize("variant", [("float32",), ("float16",), ("int8",)], ids=str)
def test_protobuf_writes_what_was_read_in_as_many_bytes(export, variant):
    path = export(*variant)
    model = onnx.load(path)
    assert len(model.SerializeToString()) == path.stat().st_size
    again = onnx.load_from_string(model.SerializeToString())
    first, second = initializers(model), initializers(again)
    assert list(first) == list(second)
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def keras_output(tiny, tiny_weights, images) -> np.ndarray:
    return np.array(build_model(tiny, tiny_weights)(images.astype(np.float32)))


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v[0] == "float32"], ids=str)
def test_float32_computes_what_numpy_and_keras_compute(
    export, tiny, tiny_weights, images, numpy_network, keras_output, variant
):
    batches = images.reshape(3, 2, *images.shape[1:]).astype(variant[1])
    path = export(*variant)
    actual = np.concatenate([run_file(path, pair) for pair in batches])
    assert actual.dtype == np.float32
    expected = numpy_network(tiny, tiny_weights, images)["probabilities"]
    # float32 sums of at most 128 products, relative to probabilities of at most 1.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(actual, keras_output, rtol=0, atol=1e-6)


def test_float16_computes_what_numpy_computes_with_its_weights(
    export, tiny, tiny_weights, images, numpy_network
):
    halved = {name: array.astype(np.float16) for name, array in tiny_weights.items()}
    outputs = numpy_network(tiny, halved, images)
    actual = run_file(export("float16"), images.astype(np.float32))
    assert actual.dtype == np.float32
    # Activations are rounded to float16 or not, as the runtime likes: 2**-11 relative each, through
    # six layers onto logits of at most 4, and a softmax passes at most a quarter of that on.
    limit = 6 * 2**-11 * np.abs(outputs["predictions"]).max() / 4
    np.testing.assert_allclose(actual, outputs["probabilities"], rtol=0, atol=limit)
    assert limit < 5e-3


def test_all_table_1_features_and_odd_sizes_survive(
    exporter, make_weights, make_request, numpy_network, tmp_path
):
    """5x5 and 1x1 kernels, an odd feature map, and a last map of 1x1."""
    spec = VGGSpec(
        "odd",
        parse_blocks("conv5-3 | conv1-4 conv3-5"),
        classes=3,
        hidden=fully_connected(4, 4),
        input_size=(7, 7),
    )
    weights = make_weights(spec)
    request = make_request()
    request = ExportRequest(replace(request.artifact, spec=spec, labels=()), weights)
    path = tmp_path / "odd.onnx"
    exporter.export(request, path)
    images = np.random.default_rng(4).integers(0, 256, (3, 7, 7, 3)).astype(np.float32)
    expected = numpy_network(spec, weights, images)["probabilities"]
    # float32 sums of at most 100 products, relative to probabilities of at most 1.
    np.testing.assert_allclose(run_file(path, images), expected, rtol=0, atol=1e-6)


def test_another_mean_is_subtracted_if_the_spec_says_so(
    exporter, tiny, tiny_weights, make_request, images, numpy_network, tmp_path
):
    spec = replace(tiny, mean_rgb=(90.0, 120.5, 150.25))
    request = make_request()
    path = tmp_path / "mean.onnx"
    exporter.export(replace(request, artifact=replace(request.artifact, spec=spec)), path)
    actual = run_file(path, images.astype(np.float32))
    expected = numpy_network(spec, tiny_weights, images)["probabilities"]
    papers = numpy_network(tiny, tiny_weights, images)["probabilities"]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)  # float32 against float64
    assert np.abs(actual - papers).max() > 1e-3  # the other mean would be noticed


def test_metadata_says_what_the_file_is(export, make_request):
    model = onnx.load(export("int8", "uint8", 2, 18))
    ((key, value),) = [(entry.key, entry.value) for entry in model.metadata_props]
    assert key == METADATA_KEY == "vggexport.artifact"
    assert Artifact.from_json(json.loads(value)) == make_request("int8", "uint8", 2).artifact
    assert (model.producer_name, model.producer_version) == ("vggexport", "1.2.3")
    assert "int8" in model.doc_string
    assert "NHWC, uint8" in model.doc_string


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_two_exports_give_the_same_bytes(exporter, make_request, export, tmp_path, precision):
    exporter.export(make_request(precision), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == export(precision).read_bytes()


def test_the_default_opset_is_17(export):
    assert onnx.load(export()).opset_import[0].version == 17


@pytest.mark.parametrize("opset", [12, 19])
def test_an_opset_out_of_range_is_refused(exporter, make_request, tmp_path, opset):
    path = tmp_path / "m.onnx"
    with pytest.raises(InputError, match=f"opset {opset} is not one of 13 to 18"):
        exporter.export(make_request(opset=opset), path)
    assert not path.exists()


def test_int8_without_ranges_is_refused(exporter, make_request, tmp_path):
    request = replace(make_request("int8"), ranges=None)
    with pytest.raises(InputError, match="int8 needs activation ranges: calibrate"):
        exporter.export(request, tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("fc2/kernel", np.zeros((16, 17), np.float32)),
        ("fc2/bias", np.zeros((16, 1), np.float32)),
        ("block1_conv2/kernel", np.zeros((1, 1, 6, 4), np.float32)),
    ],
)
def test_weights_of_another_shape_are_refused(
    exporter, make_request, tiny_weights, tmp_path, name, array
):
    request = replace(make_request(), weights=tiny_weights | {name: array})
    with pytest.raises(BindingError, match=name):
        exporter.export(request, tmp_path / "m.onnx")


def test_a_file_too_large_for_protobuf_is_refused_before_a_weight_is_read(
    exporter, export, make_request, monkeypatch, tmp_path
):
    size = export().stat().st_size
    monkeypatch.setattr(file_writer, "MAX_MODEL_BYTES", size)
    path = tmp_path / "m.onnx"
    exporter.export(make_request(), path)
    assert path.stat().st_size == size
    monkeypatch.setattr(file_writer, "MAX_MODEL_BYTES", size - 1)
    request = replace(make_request(), weights={})
    with pytest.raises(OutputError, match=f"would have {size:,} bytes, more than the {size - 1:,}"):
        exporter.export(request, path)


def test_weights_are_read_once_each_in_order(exporter, make_request, tiny, tiny_weights, tmp_path):
    reads = []

    class Recorded(dict):
        def __getitem__(self, name):
            reads.append(name)
            return super().__getitem__(name)

    for precision in ("float32", "int8"):
        reads.clear()
        request = replace(make_request(precision), weights=Recorded(tiny_weights))
        exporter.export(request, tmp_path / "m.onnx")
        assert reads == list(tiny.tensors)


def test_taps_are_read_beside_the_probabilities(export, tiny, tiny_weights, images, numpy_network):
    taps = ("block1_conv1", "block2_pool", "fc2")
    session = onnxruntime.InferenceSession(export(taps=taps), providers=["CPUExecutionProvider"])
    assert [o.name for o in session.get_outputs()] == ["probabilities", *taps]
    expected = numpy_network(tiny, tiny_weights, images)
    convolved, pooled, fc2 = session.run(list(taps), {"images": images.astype(np.float32)})
    for actual, name in ((convolved.transpose(0, 2, 3, 1), taps[0]), (fc2, taps[2])):
        # float32 sums of at most 128 products.
        limit = 1e-6 * np.abs(expected[name]).max()
        np.testing.assert_allclose(actual, expected[name], rtol=0, atol=limit)
    assert pooled.shape == (len(images), 8, 4, 4)  # NCHW
