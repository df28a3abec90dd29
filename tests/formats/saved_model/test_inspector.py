"""What is said of a SavedModel, ours or not, whole or damaged."""

import json
import shutil

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from vggexport.errors import ArtifactError
from vggexport.formats.registry import load_inspector
from vggexport.formats.saved_model.inspector import inspect_saved_model
from vggexport.system.digests import files_of, sha256

ARTIFACT = "assets.extra/vggexport.artifact.json"
CONVOLUTION = [("convolution", "Conv2D"), ("BiasAdd", "BiasAdd"), ("Relu", "Relu")]
OPERATORS = [
    ("mean_subtraction/sub", "Sub"),
    *((f"block1_conv1/{name}", kind) for name, kind in CONVOLUTION),
    *((f"block1_conv2/{name}", kind) for name, kind in CONVOLUTION),
    ("block1_pool/MaxPool2d", "MaxPool"),
    *((f"block2_conv1/{name}", kind) for name, kind in CONVOLUTION),
    ("block2_pool/MaxPool2d", "MaxPool"),
    ("flatten/Reshape", "Reshape"),
    ("fc1/MatMul", "MatMul"),
    ("fc1/BiasAdd", "BiasAdd"),
    ("fc1/Relu", "Relu"),
    ("fc2/MatMul", "MatMul"),
    ("fc2/BiasAdd", "BiasAdd"),
    ("fc2/Relu", "Relu"),
    ("predictions/MatMul", "MatMul"),
    ("predictions/BiasAdd", "BiasAdd"),
    ("probabilities/Softmax", "Softmax"),
]


def types_and_names(inspection):
    return [(operator.name, operator.type) for operator in inspection.operators]


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_one_of_ours_with_its_interface_and_metadata(
    directory, make_request, tiny, input_dtype, batch
):
    path = directory(input_dtype, batch)
    inspection = load_inspector("savedmodel")(path)
    assert [tensor.to_json() for tensor in inspection.inputs] == [
        {
            "name": "images",
            "dtype": input_dtype,
            "shape": [batch or "batch", 16, 16, 3],
            "quantization": None,
        }
    ]
    assert [tensor.to_json() for tensor in inspection.outputs] == [
        {
            "name": "probabilities",
            "dtype": "float32",
            "shape": [batch or "batch", 5],
            "quantization": None,
        }
    ]
    assert (inspection.opset, inspection.parameters) == (None, tiny.parameters)
    assert inspection.size_bytes == sum(file.stat().st_size for file in files_of(path))
    written = make_request("float32", input_dtype, batch, format="savedmodel").artifact
    assert inspection.artifact == written.located(path)
    assert inspection.artifact.sha256 == sha256(path)


@pytest.mark.parametrize("batch", [None, 2])
def test_the_operators_are_those_on_the_images_in_order(directory, batch):
    assert types_and_names(inspect_saved_model(directory("float32", batch))) == OPERATORS
    cast, *others = types_and_names(inspect_saved_model(directory("uint8", batch)))
    assert cast == ("Cast", "Cast")
    assert others == OPERATORS


def test_data_types_of_operators_and_their_weights(directory):
    operators = {operator.name: operator for operator in inspect_saved_model(directory()).operators}
    convolution, pooling = operators["block1_conv1/convolution"], operators["block1_pool/MaxPool2d"]
    assert (convolution.inputs, convolution.outputs) == (("float32", "float32"), ("float32",))
    assert (pooling.inputs, pooling.outputs) == (("float32",), ("float32",))
    assert operators["flatten/Reshape"].inputs == ("float32", "int32")
    weighted = [operator for operator in operators.values() if operator.weights_dtype]
    assert [operator.weights_dtype for operator in weighted] == ["float32"] * 6
    assert {operator.type for operator in weighted} == {"Conv2D", "MatMul"}
    (cast, *_) = inspect_saved_model(directory("uint8")).operators
    assert (cast.inputs, cast.outputs) == (("uint8",), ("float32",))


def test_it_is_not_int8_and_every_layer_says_so(directory, tiny):
    clauses = inspect_saved_model(directory()).not_integer()
    assert clauses[-1] == "no operator has int8 weights"
    for layer in tiny.weighted_layers:
        assert any(layer.name in clause and "computes in float" in clause for clause in clauses)


def test_the_variables_are_not_read(copy):
    """Only counted: their values may be anything."""
    before = inspect_saved_model(copy)
    for part in (copy / "variables").iterdir():
        part.write_bytes(bytes(part.stat().st_size))
    assert inspect_saved_model(copy).operators == before.operators


@pytest.mark.parametrize("name", ["variables.index", "variables.data-00000-of-00001"])
def test_variables_that_are_missing_or_cut_off_are_noticed(copy, name):
    part = copy / "variables" / name
    whole = part.read_bytes()
    part.unlink()
    with pytest.raises(ArtifactError, match="is not whole: its variables"):
        inspect_saved_model(copy)
    part.write_bytes(whole[: len(whole) // 2])
    if "data" in name:
        with pytest.raises(ArtifactError, match="is not whole: its variables"):
            inspect_saved_model(copy)


def test_the_newest_version_in_tensorflow_servings_layout_is_taken(directory, tmp_path):
    for version, variant in (("9", "float32"), ("10", "uint8")):
        shutil.copytree(directory(variant), tmp_path / "net" / version)
    inspection = inspect_saved_model(tmp_path / "net")
    assert inspection.inputs[0].dtype == "uint8"
    assert inspection.artifact.path == str(tmp_path / "net" / "10")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"\xff\xfe", None],
    ids=["empty", "cut", "list", "no keys", "binary", "folder"],
)
def test_damaged_metadata_is_refused_in_one_line(copy, content):
    (copy / ARTIFACT).unlink()
    (copy / ARTIFACT).mkdir() if content is None else (copy / ARTIFACT).write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{ARTIFACT} is damaged: ") as raised:
        inspect_saved_model(copy)
    assert "\n" not in str(raised.value)


def test_metadata_of_an_unknown_precision_is_refused(copy):
    described = json.loads((copy / ARTIFACT).read_text())
    (copy / ARTIFACT).write_text(json.dumps({**described, "precision": "int3"}))
    with pytest.raises(ArtifactError, match="int3"):
        inspect_saved_model(copy)


@pytest.mark.parametrize("kept", [0, 0.01, 0.5, 0.999])
def test_a_truncated_graph_is_refused(copy, kept):
    data = (copy / "saved_model.pb").read_bytes()
    (copy / "saved_model.pb").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ArtifactError, match="is not a SavedModel") as raised:
        inspect_saved_model(copy)
    assert "\n" not in str(raised.value)


def test_what_is_no_directory_of_a_model_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for name in ("file", "empty", "missing"):
        with pytest.raises(ArtifactError, match=f"{name} is not a SavedModel"):
            inspect_saved_model(tmp_path / name)


# What is foreign


@pytest.fixture
def foreign(tmp_path):
    """A module that is not ours: two inputs, a function in the function, unused variables."""
    module = tf.Module()
    module.kernel = tf.Variable(tf.ones((3, 4), tf.float64))
    module.unused = tf.Variable(tf.ones(100))
    inner = tf.function(lambda x: tf.nn.relu(tf.matmul(x, module.kernel)), autograph=False)

    @tf.function(autograph=False)
    def serve(x, scale):
        return {"b": inner(x) * scale, "a": tf.reduce_sum(x)}

    double = tf.float64
    signature = serve.get_concrete_function(
        tf.TensorSpec((None, 3), double, name="x"), tf.TensorSpec(None, double, name="scale")
    )
    tf.saved_model.save(module, tmp_path / "foreign", {"serving_default": signature})
    return tmp_path / "foreign"


def test_a_foreign_model_is_described_as_far_as_it_goes(foreign):
    inspection = inspect_saved_model(foreign)
    assert inspection.artifact is None
    assert inspection.parameters == 12
    assert [tensor.to_json() for tensor in inspection.inputs] == [
        {"name": "scale", "dtype": "float64", "shape": [], "quantization": None},
        {"name": "x", "dtype": "float64", "shape": ["batch", 3], "quantization": None},
    ]
    assert [tensor.name for tensor in inspection.outputs] == ["a", "b"]
    types = [operator.type for operator in inspection.operators]
    assert sorted(types) == ["MatMul", "Mul", "Relu", "Sum"]
    assert types.index("MatMul") < types.index("Relu") < types.index("Mul")
    (product,) = (o for o in inspection.operators if o.type == "MatMul")
    assert (product.inputs, product.weights_dtype) == (("float64", "float64"), "float64")


def change(path, changed):
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    changed(model.meta_graphs[0])
    (path / "saved_model.pb").write_bytes(model.SerializeToString())


def test_a_graph_without_a_serving_signature_is_refused(foreign):
    change(foreign, lambda graph: graph.signature_def.pop("serving_default"))
    with pytest.raises(ArtifactError, match="foreign has no signature 'serving_default'"):
        inspect_saved_model(foreign)


def test_operators_without_a_definition_or_a_known_type_are_named_all_the_same(foreign):
    """Files of other versions of TensorFlow have such."""

    def changed(graph):
        kept = [op for op in graph.meta_info_def.stripped_op_list.op if op.name != "Relu"]
        del graph.meta_info_def.stripped_op_list.op[:]
        graph.meta_info_def.stripped_op_list.op.extend(kept)
        for function in graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == "Sum":
                    node.attr["T"].type = 99

    change(foreign, changed)
    operators = {operator.type: operator for operator in inspect_saved_model(foreign).operators}
    assert operators["Relu"].inputs == ()
    assert operators["Sum"].outputs == ("",)


def test_a_function_that_calls_itself_ends(foreign):
    def changed(graph):
        for function in graph.graph_def.library.function:
            for node in function.node_def:
                if "f" in node.attr:
                    node.attr["f"].func.name = function.signature.name

    change(foreign, changed)
    assert inspect_saved_model(foreign).parameters == 12
