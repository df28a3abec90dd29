"""SavedModel directories whose weights are others than their names say, and broken ones."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from vggexport.errors import ArtifactError
from vggexport.formats.model_weights import MEAN_NAME
from vggexport.formats.saved_model.exporter import SavedModelExporter
from vggexport.formats.saved_model.weight_reader import SavedModelWeights

ARTIFACT = "assets.extra/vggexport.artifact.json"
DATA = "variables/variables.data-00000-of-00001"


@pytest.fixture
def edited(copied):
    """(path, edit) -> the weights of the directory after ``edit(meta_graph)``."""

    def write(path, edit):
        folder = copied(path)
        model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        edit(model.meta_graphs[0])
        (folder / "saved_model.pb").write_bytes(model.SerializeToString())
        return SavedModelWeights(folder)

    return write


@pytest.fixture
def tiny_folder(directory):
    return directory()


def functions_with(graph, operator):
    for function in graph.graph_def.library.function:
        if any(node.op == operator for node in function.node_def):
            yield function


def node_of(function, name):
    return next(node for node in function.node_def if node.name == name)


def exchange(one, other, position=0):
    mine, yours = one.input[position], other.input[position]
    one.input[position], other.input[position] = yours, mine


def exchange_reads(graph, twins):
    for function in functions_with(graph, "Conv2D"):
        for read in ("convolution/ReadVariableOp", "Reshape/ReadVariableOp"):
            exchange(*(node_of(function, f"{name}/{read}") for name in twins))


def exchange_operands(graph, twins):
    for function in functions_with(graph, "Conv2D"):
        for operator in ("convolution", "BiasAdd"):
            exchange(*(node_of(function, f"{name}/{operator}") for name in twins), position=1)


def exchange_captures(graph, twins):
    for call in graph.graph_def.node:
        if call.op == "StatefulPartitionedCall" and "images" in call.input[0]:
            inputs = list(call.input)
            for name in ("kernel", "bias"):
                one, other = (inputs.index(f"{layer}/{name}") for layer in twins)
                call.input[one], call.input[other] = inputs[other], inputs[one]


def exchange_restored(graph, twins):
    for function in functions_with(graph, "RestoreV2"):
        constant = node_of(function, "RestoreV2/tensor_names").attr["value"].tensor
        keys = tf.make_ndarray(constant).tolist()
        for name in ("kernel", "bias"):
            one, other = (
                next(i for i, key in enumerate(keys) if f"{layer}/{name}/".encode() in key)
                for layer in twins
            )
            keys[one], keys[other] = keys[other], keys[one]
        constant.CopyFrom(tf.make_tensor_proto(keys))


@pytest.mark.parametrize(
    "edit", [exchange_reads, exchange_operands, exchange_captures, exchange_restored]
)
def test_exchanged_layers(twin_file, twins, edited, exchanged_weights, differing, edit):
    weights = edited(twin_file("savedmodel"), lambda graph: edit(graph, twins))
    assert not differing(weights, exchanged_weights)


def test_the_layers_signature_is_not_what_serves(twin_file, twins, edited, twin_weights, differing):
    def exchange_in_layers(graph):
        called = [f for f in functions_with(graph, "Conv2D") if len(f.ret) > 1]
        for function in called:
            exchange(*(node_of(function, f"{n}/convolution/ReadVariableOp") for n in twins))
        assert called

    assert not differing(edited(twin_file("savedmodel"), exchange_in_layers), twin_weights[1])


def test_stale_variables(tiny_folder, copied, make_request, differing):
    """The checkpoint of another training below the same graph."""
    request = make_request(format="savedmodel")
    stale = dict(request.weights) | {"fc2/bias": request.weights["fc2/bias"] + 1}
    folder = copied(tiny_folder)
    other = folder.with_name("other")
    SavedModelExporter().export(replace(request, weights=stale), other)
    shutil.rmtree(folder / "variables")
    shutil.copytree(other / "variables", folder / "variables")
    weights = SavedModelWeights(folder)
    assert differing(weights, request.weights) == ["fc2/bias"]
    assert not differing(weights, stale)


def test_a_changed_mean(tiny_folder, edited, differing):
    def flip(graph):
        for function in functions_with(graph, "Sub"):
            value = node_of(function, "mean_subtraction/Const").attr["value"].tensor
            value.CopyFrom(tf.make_tensor_proto(np.flip(tf.make_ndarray(value))))

    assert differing(edited(tiny_folder, flip), SavedModelWeights(tiny_folder)) == [MEAN_NAME]


def test_a_transposed_matrix_is_turned_as_its_operator_says(tiny_folder, edited):
    def transpose(graph):
        for function in functions_with(graph, "MatMul"):
            node_of(function, "fc2/MatMul").attr["transpose_b"].b = True

    turned, original = edited(tiny_folder, transpose), SavedModelWeights(tiny_folder)
    assert (turned["fc2/kernel"] == original["fc2/kernel"].T).all()


@pytest.mark.parametrize(
    ("operator", "lacks", "message"),
    [
        ("mean_subtraction/sub", MEAN_NAME, r"no operator mean_subtraction \(Sub\):"),
        (
            "block1_conv2/convolution",
            "block1_conv2/kernel",
            r"no operator block1_conv2 \(Conv2D\):",
        ),
        ("fc2/BiasAdd", "fc2/bias", r"no operator fc2 \(BiasAdd\):"),
        ("fc2/BiasAdd/ReadVariableOp", "fc2/bias", r"fc2/bias is damaged"),
        ("mean_subtraction/Const", MEAN_NAME, "mean_rgb is damaged"),
    ],
)
def test_a_missing_operator_is_named_and_the_others_are_read(
    tiny_folder, edited, operator, lacks, message
):
    def remove(graph):
        for function in functions_with(graph, "Conv2D"):
            function.node_def.remove(node_of(function, operator))

    weights = edited(tiny_folder, remove)
    with pytest.raises(ArtifactError, match=message):
        weights[lacks]
    for name in weights.names:
        assert name == lacks or weights[name].any()


def no_restoring(graph):
    graph.saver_def.restore_op_name = "nothing"


def restored_from_nowhere(graph):
    for function in functions_with(graph, "RestoreV2"):
        function.node_def.remove(node_of(function, "RestoreV2"))


def no_serving(graph):
    del graph.signature_def["serving_default"]


def in_circles(graph):
    for function in functions_with(graph, "Conv2D"):
        read = node_of(function, "fc2/Cast/ReadVariableOp")
        read.input[0] = read.name


@pytest.mark.parametrize("edit", [no_restoring, restored_from_nowhere, no_serving, in_circles])
def test_graphs_that_do_not_tell(tiny_folder, edited, edit):
    with pytest.raises(ArtifactError, match=r"fc2/kernel|no operator fc2"):
        edited(tiny_folder, edit)["fc2/kernel"]


def test_a_function_that_calls_itself(tiny_folder, edited):
    def call(graph):
        for function in functions_with(graph, "Conv2D"):
            node = function.node_def.add(op="PartitionedCall", name="again")
            node.attr["f"].func.name = function.signature.name

    assert edited(tiny_folder, call)["fc2/kernel"].any()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_variables_that_were_cut_off(tiny_folder, copied, share):
    folder = copied(tiny_folder)
    content = (folder / DATA).read_bytes()
    (folder / DATA).write_bytes(content[: int(len(content) * share)])
    weights = SavedModelWeights(folder)
    with pytest.raises(ArtifactError, match="is damaged") as caught:
        list(weights.values())
    assert "\n" not in str(caught.value)


def test_variables_that_were_changed(tiny_folder, copied):
    folder = copied(tiny_folder)
    content = bytearray((folder / DATA).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / DATA).write_bytes(content)
    with pytest.raises(ArtifactError, match="is damaged"):  # by its checksum
        list(SavedModelWeights(folder).values())


@pytest.mark.parametrize("missing", ["saved_model.pb", DATA, "variables/variables.index"])
def test_a_directory_that_lacks_a_file(tiny_folder, copied, missing):
    folder = copied(tiny_folder)
    (folder / missing).unlink()
    with pytest.raises(ArtifactError, match=folder.name):
        list(SavedModelWeights(folder).values())


def test_an_index_that_is_damaged(tiny_folder, copied):
    folder = copied(tiny_folder)
    (folder / "variables/variables.index").write_bytes(b"no index")
    with pytest.raises(ArtifactError, match="no variables that can be read"):
        SavedModelWeights(folder)


def test_a_foreign_model(tiny_folder, copied):
    folder = copied(tiny_folder)
    (folder / ARTIFACT).unlink()
    with pytest.raises(ArtifactError, match="does not say which network it is"):
        SavedModelWeights(folder)


def test_the_newest_version_in_a_directory_of_them(tiny_folder, tmp_path, tiny_weights, differing):
    shutil.copytree(tiny_folder, tmp_path / "net" / "2")
    (tmp_path / "net" / "1").mkdir()
    assert not differing(SavedModelWeights(tmp_path / "net"), tiny_weights)
