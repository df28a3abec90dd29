"""What is said of a TFLite file, ours or not, whole or damaged."""

import hashlib

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from vggexport.artifact import METADATA_KEY
from vggexport.errors import ArtifactError
from vggexport.formats.tflite.inspector import inspect_tflite
from vggexport.quantization.audit import float_operators

CONVOLUTIONS = ["block1_conv1", "block1_conv2", "block2_conv1"]
CONNECTED = ["fc1", "fc2", "predictions"]
PRECISIONS = {  # dtypes of the kernels of convolutions and of fully connected layers
    "float32": ("float32", "float32"),
    "float16": ("float16", "float16"),
    "dynamic-int8": ("int8", "int8"),
    "int8": ("int8", "int8"),
    "int8-w4": ("int8", "int4"),
}


def without_metadata(model) -> None:
    model.metadata = None


def by_name(inspection) -> dict:
    return {operator.name: operator for operator in inspection.operators}


@pytest.mark.parametrize("batch", [2, None])
def test_the_interface_and_the_artifact(export, make_request, tiny, batch):
    path = export("float32", "uint8", batch, format="tflite")
    inspection = inspect_tflite(path)
    size = "batch" if batch is None else batch
    assert [tensor.to_json() for tensor in inspection.inputs] == [
        {"name": "images", "dtype": "uint8", "shape": [size, 16, 16, 3], "quantization": None}
    ]
    assert [tensor.to_json() for tensor in inspection.outputs] == [
        {"name": "probabilities", "dtype": "float32", "shape": [size, 5], "quantization": None}
    ]
    assert inspection.parameters == tiny.parameters
    assert inspection.opset is None
    assert inspection.size_bytes == path.stat().st_size
    artifact = inspection.artifact
    assert (artifact.path, artifact.size_bytes) == (str(path), path.stat().st_size)
    assert artifact.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    request = make_request("float32", "uint8", batch, format="tflite")
    assert artifact == request.artifact.located(path)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_have_the_type_that_they_are_stored_in(export, precision):
    operators = by_name(inspect_tflite(export(precision, format="tflite")))
    convolution, connected = PRECISIONS[precision]
    assert {operators[name].weights_dtype for name in CONVOLUTIONS} == {convolution}
    assert {operators[name].weights_dtype for name in CONNECTED} == {connected}
    others = operators.keys() - {*CONVOLUTIONS, *CONNECTED}
    assert {operators[name].weights_dtype for name in others} == {None}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_operators_are_those_of_the_file_in_order(export, precision):
    operators = inspect_tflite(export(precision, format="tflite")).operators
    assert operators[0].type == "SUB"
    assert (operators[0].name, operators[0].inputs) == ("mean_subtraction", ("float32",) * 2)
    assert operators[-1].type == "SOFTMAX"
    assert (operators[-1].inputs, operators[-1].outputs) == (("float32",), ("float32",))
    types = {operator.name: operator.type for operator in operators}
    assert [types[name] for name in CONVOLUTIONS] == ["CONV_2D"] * 3
    assert [types[name] for name in CONNECTED] == ["FULLY_CONNECTED"] * 3
    assert [types[name] for name in ("block1_pool", "flatten")] == ["MAX_POOL_2D", "RESHAPE"]


def test_an_int8_file_reads_and_writes_integers(export):
    operators = by_name(inspect_tflite(export("int8", format="tflite")))
    assert operators["fc1"].inputs == ("int8", "int8", "int32")
    assert operators["fc1"].outputs == ("int8",)
    assert operators["predictions"].inputs == ("int16", "int8", "int64")
    assert operators["predictions"].outputs == ("int16",)
    assert operators["block1_pool"].inputs == ("int8",)


@pytest.mark.parametrize("precision", ["int8", "int8-w4"])
@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_int8_files_have_nothing_against_them(export, precision, input_dtype):
    inspection = inspect_tflite(export(precision, input_dtype, format="tflite"))
    assert inspection.not_integer() == ()
    assert inspection.islands == ()


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic-int8"])
def test_other_files_have_and_every_layer_says_so(export, precision):
    inspection = inspect_tflite(export(precision, format="tflite"))
    clauses = inspection.not_integer()
    for layer in CONVOLUTIONS + CONNECTED:
        assert any(layer in clause and "computes in float" in clause for clause in clauses)
    assert ("no operator has int8 weights" in clauses) == (precision != "dynamic-int8")


def test_a_full_integer_file_has_no_float_operator_and_others_have(export):
    full = inspect_tflite(export("int8", "uint8", None, format="tflite", full_integer=True))
    assert float_operators(full.operators) == ()
    assert full.not_integer() == ()
    assert full.outputs[0].dtype == "uint8"
    half = inspect_tflite(export("int8", "uint8", None, format="tflite"))
    names = {operator.name for operator in float_operators(half.operators)}
    assert {"mean_subtraction", "probabilities"} <= names


def test_a_kernel_swapped_for_a_float_one_is_an_island(export, edited):
    """An int8 file of which one layer was left in float."""

    def swap(model):
        (graph,) = model.subgraphs
        (kernel,) = (t for t in graph.tensors if t.name == b"fc1/kernel")
        kernel.type = schema.TensorType.FLOAT32

    inspection = inspect_tflite(edited(export("int8", format="tflite"), swap))
    assert [operator.name for operator in inspection.islands] == ["fc1"]
    assert inspection.not_integer() == ("fc1 (FULLY_CONNECTED) computes in float",)


def test_a_layer_between_conversions_is_an_island(export, edited):
    def leave_in_float(model):
        (graph,) = model.subgraphs
        (pool,) = (t for t in graph.tensors if t.name == b"block1_pool")
        (conv,) = (t for t in graph.tensors if t.name == b"block1_conv2")
        pool.type = conv.type = schema.TensorType.FLOAT32

    inspection = inspect_tflite(edited(export("int8", format="tflite"), leave_in_float))
    assert {operator.name for operator in inspection.islands} == {"block1_pool", "block2_conv1"}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_file_that_is_not_ours_counts_the_constants_of_its_layers(
    export, edited, tiny, precision
):
    inspection = inspect_tflite(edited(export(precision, format="tflite"), without_metadata))
    assert inspection.artifact is None
    assert inspection.parameters == tiny.parameters
    assert inspection.to_json()["artifact"] is None
    assert len(inspection.operators) > 10


def test_a_file_without_a_signature_has_its_tensors_names(export, edited):
    def bare(model):
        model.metadata = model.signatureDefs = None
        (graph,) = model.subgraphs
        graph.tensors[graph.inputs[0]].name = b"serving_default_x:0"

    inspection = inspect_tflite(edited(export(format="tflite"), bare))
    assert inspection.inputs[0].name == "serving_default_x:0"


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"5", b"{}", b'{"path": "x"}', b'"text"', b"\xff\xfe"]
)
def test_damaged_metadata_is_refused(export, edited, text):
    def damage(model):
        (entry,) = (e for e in model.metadata if e.name == METADATA_KEY.encode())
        model.buffers[entry.buffer].data = np.frombuffer(text, np.uint8)

    path = edited(export(format="tflite"), damage)
    with pytest.raises(ArtifactError, match=r"changed\.tflite: its vggexport metadata is damaged"):
        inspect_tflite(path)


def test_metadata_with_a_wrong_value_is_refused(export, edited):
    def damage(model):
        (entry,) = (e for e in model.metadata if e.name == METADATA_KEY.encode())
        text = bytes(model.buffers[entry.buffer].data).replace(b'"float32"', b'"int5"')
        model.buffers[entry.buffer].data = np.frombuffer(text, np.uint8)

    path = edited(export(format="tflite"), damage)
    with pytest.raises(ArtifactError, match="int5") as raised:
        inspect_tflite(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.95])
def test_a_truncated_file_is_refused(export, tmp_path, kept):
    data = export(format="tflite").read_bytes()
    path = tmp_path / "changed.tflite"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ArtifactError, match=r"changed\.tflite is cut off or damaged") as raised:
        inspect_tflite(path)
    assert "\n" not in str(raised.value)


def test_the_file_is_not_changed_and_nothing_is_left_beside_it(export, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(export("int8", format="tflite").read_bytes())
    inspect_tflite(path)
    assert path.read_bytes() == export("int8", format="tflite").read_bytes()
    assert list(tmp_path.iterdir()) == [path]
