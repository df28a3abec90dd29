"""What is said of a file, ours or not, whole or damaged."""

import hashlib
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vggexport.artifact import METADATA_KEY
from vggexport.errors import ArtifactError
from vggexport.formats.onnx.inspector import inspect_onnx
from vggexport.precision import Precision

CONVOLUTIONS = ["block1_conv1", "block1_conv2", "block2_conv1"]
GEMMS = ["fc1", "fc2", "predictions"]


@pytest.fixture
def saved(tmp_path):
    """Saves a model or bytes, and gives the path."""

    def save(content: onnx.ModelProto | bytes):
        path = tmp_path / "changed.onnx"
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        return path

    return save


def by_type(inspection, op_type: str) -> list:
    return [operator for operator in inspection.operators if operator.type == op_type]


def node_named(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    (node,) = (node for node in model.graph.node if node.name == name)
    return node


def small_model(nodes, constants=(), *, outputs=("out",)) -> onnx.ModelProto:
    """A foreign file: from "x", float (2, 3), to float outputs of any shape."""
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        list(constants),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def test_a_float32_file_with_its_interface_and_metadata(export, make_request, tiny):
    path = export("float32", "uint8", 2, 18)
    inspection = inspect_onnx(path)
    assert [tensor.to_json() for tensor in inspection.inputs] == [
        {"name": "images", "dtype": "uint8", "shape": [2, 16, 16, 3], "quantization": None}
    ]
    assert [tensor.to_json() for tensor in inspection.outputs] == [
        {"name": "probabilities", "dtype": "float32", "shape": [2, 5], "quantization": None}
    ]
    assert (inspection.opset, inspection.parameters) == (18, tiny.parameters)
    assert inspection.size_bytes == path.stat().st_size
    artifact = inspection.artifact
    assert (artifact.path, artifact.size_bytes) == (str(path), path.stat().st_size)
    assert artifact.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    request = make_request("float32", "uint8", 2)
    assert artifact == request.artifact.located(path)


def test_a_dynamic_batch_is_named(export):
    assert inspect_onnx(export()).inputs[0].shape == ("batch", 16, 16, 3)


def test_a_float32_file_is_not_int8_and_every_layer_says_so(export):
    inspection = inspect_onnx(export())
    clauses = inspection.not_integer()
    assert clauses[-1] == "no operator has int8 weights"
    for layer in CONVOLUTIONS + GEMMS:
        assert any(layer in clause and "computes in float" in clause for clause in clauses)
    weighted = [operator for operator in inspection.operators if operator.weights_dtype]
    assert [operator.weights_dtype for operator in weighted] == ["float32"] * 6


def test_a_float16_file_is_not_int8(export):
    inspection = inspect_onnx(export("float16"))
    assert inspection.artifact.precision is Precision.FLOAT16
    assert inspection.not_integer()[-1] == "no operator has int8 weights"
    assert len(inspection.islands) >= 6


@pytest.mark.parametrize(
    "variant",
    [
        ("int8", input_dtype, batch, opset)
        for input_dtype, batch, opset in (
            ("float32", None, 17),
            ("uint8", None, 13),
            ("uint8", 2, 18),
        )
    ],
    ids=str,
)
def test_an_int8_file_computes_every_layer_in_integers(export, variant):
    inspection = inspect_onnx(export(*variant))
    assert inspection.islands == ()
    assert inspection.not_integer() == ()
    assert [operator.name for operator in by_type(inspection, "QLinearConv")] == CONVOLUTIONS
    assert [operator.name for operator in by_type(inspection, "QGemm")] == GEMMS
    types = {operator.type for operator in inspection.operators}
    assert types.isdisjoint({"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "Relu"})
    assert inspection.artifact.calibration.samples == 2


def test_the_data_types_of_an_int8_file_are_those_that_flow(export):
    inspection = inspect_onnx(export("int8", "uint8"))
    (convolution, *_), (*_, logits) = (
        by_type(inspection, "QLinearConv"),
        by_type(inspection, "QGemm"),
    )
    for operator in (convolution, logits):
        assert operator.weights_dtype == operator.inputs[3] == "int8"
        assert operator.inputs[0] in {"uint8", "int8"}
        assert operator.inputs[1] == "float32"
    assert convolution.outputs == (convolution.inputs[7],)
    assert logits.outputs == ("float32",)
    (softmax,) = by_type(inspection, "Softmax")
    assert (softmax.inputs, softmax.outputs) == (("float32",), ("float32",))
    assert {o.inputs[0] for o in by_type(inspection, "MaxPool")} <= {"uint8", "int8"}
    assert by_type(inspection, "Cast")[0].outputs == ("float32",)
    (quantize,) = by_type(inspection, "QuantizeLinear")
    assert (quantize.inputs[0], quantize.outputs) == ("float32", (quantize.inputs[2],))


@pytest.mark.parametrize("layer", GEMMS)
def test_a_gemm_whose_kernel_has_no_zero_points_is_an_island(export, saved, layer):
    """Valid ONNX that ONNX Runtime does not fuse: it looks like int8 and computes in float."""
    model = onnx.load(export("int8"))
    del node_named(model, f"{layer}/kernel/dequantized").input[2]
    inspection = inspect_onnx(saved(model))
    assert any(layer in operator.name for operator in inspection.islands)
    assert any(layer in clause for clause in inspection.not_integer())
    others = {"fc1", "fc2", "predictions"} - {layer}
    assert not any(o in operator.name for operator in inspection.islands for o in others)


@pytest.mark.parametrize("layer", ["block1_conv1", "fc1"])
def test_a_layer_whose_output_is_not_quantized_leaves_islands(export, saved, layer):
    model = onnx.load(export("int8"))
    quantize = node_named(model, f"{layer}/quantized")
    dequantize = node_named(model, f"{layer}/dequantized")
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == dequantize.output[0]:
                node.input[index] = quantize.input[0]
    model.graph.node.remove(quantize)
    model.graph.node.remove(dequantize)
    inspection = inspect_onnx(saved(model))
    following = {"block1_conv1": "block1_conv2", "fc1": "fc2"}[layer]
    assert any(following in operator.name for operator in inspection.islands)
    assert any(following in clause for clause in inspection.not_integer())


def test_a_kernel_left_in_float_is_an_island(export, saved):
    """Its activations are quantized on both sides all the same."""
    model = onnx.load(export("int8"))
    graph = model.graph
    dequantize = node_named(model, "fc2/kernel/dequantized")
    kernel = numpy_helper.from_array(np.ones((64, 64), np.float32), dequantize.output[0])
    graph.initializer.append(kernel)
    graph.node.remove(dequantize)
    inspection = inspect_onnx(saved(model))
    assert any("fc2" in operator.name for operator in inspection.islands)


def test_a_foreign_file_has_no_artifact_and_counts_its_constants(saved):
    weights = numpy_helper.from_array(np.ones((3, 4), np.float32), "w")
    bias = numpy_helper.from_array(np.ones(4, np.float32), "b")
    gemm = helper.make_node("Gemm", ["x", "w", "b"], ["out"], name="dense")
    inspection = inspect_onnx(saved(small_model([gemm], [weights, bias])))
    assert inspection.artifact is None
    assert inspection.parameters == 16
    assert inspection.opset == 15
    assert [(o.name, o.type, o.weights_dtype) for o in inspection.operators] == [
        ("dense", "Gemm", "float32")
    ]
    assert inspection.to_json()["artifact"] is None


def test_a_foreign_files_other_metadata_is_not_ours(saved):
    model = small_model([helper.make_node("Relu", ["x"], ["out"])])
    helper.set_model_props(model, {"author": "someone"})
    assert inspect_onnx(saved(model)).artifact is None


def test_a_foreign_operator_without_inputs_is_listed(saved):
    model = small_model(
        [
            helper.make_node("RandomUniform", [], ["noise"], name="noise", shape=[2, 3]),
            helper.make_node("Add", ["x", "noise"], ["out"], name="sum"),
        ]
    )
    inspection = inspect_onnx(saved(model))
    assert [operator.name for operator in inspection.operators] == ["noise", "sum"]
    assert inspection.islands == ()  # a float file is none that should compute in integers
    assert "sum (Add) computes in float" in inspection.not_integer()


def test_a_foreign_file_quantized_while_it_runs_has_integer_weights(saved):
    """MatMulInteger reads uint8 from DynamicQuantizeLinear: no island, whatever x is."""
    weights = numpy_helper.from_array(np.ones((3, 4), np.int8), "w")
    model = small_model(
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"], name="q"),
            helper.make_node("MatMulInteger", ["q", "w", "zero"], ["sum"], name="product"),
            helper.make_node("Cast", ["sum"], ["out"], name="cast", to=TensorProto.FLOAT),
        ],
        [weights],
    )
    inspection = inspect_onnx(saved(model))
    (product,) = by_type(inspection, "MatMulInteger")
    assert product.inputs[:2] == ("uint8", "int8")


def test_a_file_with_taps_is_inspected(export):
    """Its further outputs have no declared type."""
    inspection = inspect_onnx(export(taps=("block1_conv1", "fc2")))
    assert [tensor.name for tensor in inspection.outputs] == [
        "probabilities",
        "block1_conv1",
        "fc2",
    ]


def truncated(path, kept: float) -> bytes:
    data = path.read_bytes()
    return data[: int(len(data) * kept)]


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(export, saved, kept):
    path = saved(truncated(export(), kept))
    with pytest.raises(ArtifactError, match=r"changed\.onnx is not") as raised:
        inspect_onnx(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"a text file\nof two lines\n", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"\0" * 64],
)
def test_what_is_no_model_is_refused(saved, content):
    expected = r"changed\.onnx is (empty: )?not a readable ONNX model"
    with pytest.raises(ArtifactError, match=expected) as raised:
        inspect_onnx(saved(content))
    assert "\n" not in str(raised.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(ArtifactError, match=f"{path} cannot be read: "):
            inspect_onnx(path)


def test_a_model_that_the_runtime_cannot_run_is_refused(saved):
    model = small_model([helper.make_node("NoSuchOperator", ["x"], ["out"])])
    with pytest.raises(ArtifactError, match="ONNX Runtime") as raised:
        inspect_onnx(saved(model))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "5", "{}", '{"path": "x"}', '"text"'],
)
def test_damaged_metadata_is_refused(export, saved, text):
    model = onnx.load(export())
    helper.set_model_props(model, {METADATA_KEY: text})
    with pytest.raises(ArtifactError):
        inspect_onnx(saved(model))


def test_metadata_with_a_wrong_value_is_refused(export, saved):
    model = onnx.load(export())
    data = json.loads(model.metadata_props[0].value)
    helper.set_model_props(model, {METADATA_KEY: json.dumps(data | {"precision": "int5"})})
    path = saved(model)
    with pytest.raises(ArtifactError, match="int5") as raised:
        inspect_onnx(path)
    assert str(path) in str(raised.value)  # which of the files handed in


def test_the_file_is_not_changed_and_nothing_is_left_beside_it(export, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(export("int8").read_bytes())
    inspect_onnx(path)
    assert path.read_bytes() == export("int8").read_bytes()
    assert list(tmp_path.iterdir()) == [path]
