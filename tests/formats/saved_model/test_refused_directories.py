"""SavedModel directories that are damaged, foreign, or would do more than answer."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from vggexport.errors import ArtifactError
from vggexport.formats.saved_model.graph import reached
from vggexport.formats.saved_model.runner import SavedModelRunner

DATA = "variables/variables.data-00000-of-00001"


INDEX = "variables/variables.index"


def open_it(path):
    with SavedModelRunner(path):
        pass


def refused(path, match, capfd):
    """The one line that says why, with nothing else printed."""
    with pytest.raises(ArtifactError, match=match) as raised:
        open_it(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["saved_model.pb", DATA, INDEX])
@pytest.mark.parametrize("kept", [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(copy, name, kept, capfd):
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: int(len(data) * kept)])
    refused(copy, "is not a SavedModel", capfd)


@pytest.mark.parametrize("name", ["saved_model.pb", DATA, INDEX, "variables"])
def test_a_missing_file_is_refused(copy, name, capfd):
    removed = copy / name
    shutil.rmtree(removed) if removed.is_dir() else removed.unlink()
    refused(copy, r"is not a SavedModel.*(No such file|Failed to find)", capfd)


def test_a_flipped_bit_in_the_weights_is_refused(copy, capfd):
    data = bytearray((copy / DATA).read_bytes())
    data[4000] ^= 1
    (copy / DATA).write_bytes(bytes(data))
    refused(copy, "is not a SavedModel that TensorFlow reads: .*[Cc]hecksum", capfd)


@pytest.mark.parametrize("content", [b"", b"a text file\nof two lines\n", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_graph_is_refused(copy, content, capfd):
    (copy / "saved_model.pb").write_bytes(content)
    refused(copy, "is not a SavedModel", capfd)


def test_what_is_no_directory_of_a_model_is_refused(tmp_path, capfd):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "file", "is not a SavedModel directory: Not a directory", capfd)
    refused(tmp_path / "missing", "is not a SavedModel directory: No such file", capfd)
    refused(tmp_path / "empty", r"saved_model\.pb: No such file", capfd)


@pytest.fixture
def foreign(tmp_path):
    """(function of colours, **names) -> the directory of a module that is not ours."""

    def save(function, *, source="images", result="probabilities", name="serving_default"):
        module = tf.Module()
        module.mean = tf.Variable([0.5, 2.0, 1.0])
        taken = tf.TensorSpec((None, 4, 4, 3), tf.float32, name=source)

        def colours(values):
            return {result: function(tf.reduce_mean(values, axis=(1, 2)) - module.mean)}

        traced = tf.function(colours, autograph=False)
        path = tmp_path / "foreign"
        tf.saved_model.save(module, path, {name: traced.get_concrete_function(taken)})
        return path

    return save


def changed(path, change):
    """Saves a changed graph in its place."""
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    change(model.meta_graphs[0])
    (path / "saved_model.pb").write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "names", [{"source": "pixels"}, {"result": "scores"}, {"name": "predict"}], ids=str
)
def test_a_model_of_another_converter_runs_by_its_own_names(foreign, names):
    images = np.zeros((2, 4, 4, 3), np.float32)
    images[:, :, :, 0] = [[[3.5]], [[0.5]]]
    with SavedModelRunner(foreign(tf.nn.softmax, **names)) as runner:
        found = runner.predict(images)
        assert runner.artifact.foreign
        assert runner.artifact.macs is None
        np.testing.assert_array_equal(runner.prepare(images).probabilities(), found)
        with pytest.raises(ArtifactError, match="has no layer fc1"):
            runner.activations(images, ["fc1"])
    expected = np.exp([[3.0, -2, -1], [0, -2, -1]])
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_what_a_constant_only_declares_is_not_allocated(foreign, capfd):
    path = foreign(lambda values: values * tf.constant([1.0, 2.0, 3.0]))

    def declare(graph):
        nodes = [n for f in graph.graph_def.library.function for n in f.node_def if n.op == "Const"]
        for node in nodes:
            tensor = node.attr["value"].tensor
            if tensor.dtype == tf.float32.as_datatype_enum and tensor.tensor_shape.dim:
                tensor.tensor_shape.dim[0].size = 1 << 40

    changed(path, declare)
    refused(path, r"has 4,398,046,511,104 bytes, above", capfd)


def test_a_second_input_of_another_converters_model_is_refused(foreign, capfd):
    path = foreign(tf.nn.softmax)

    def add(graph):
        inputs = graph.signature_def["serving_default"].inputs
        inputs["mask"].CopyFrom(inputs["images"])

    changed(path, add)
    refused(path, r"it has 2 inputs \(images, mask\): expected one", capfd)


def test_a_call_to_python_is_refused(foreign, capfd):
    def called(values):
        return tf.ensure_shape(tf.py_function(lambda x: x, [values], tf.float32), (None, 3))

    refused(foreign(called), r"an operator (EagerPyFunc|EnsureShape) ", capfd)


def test_of_logits_the_softmax_is_taken(foreign):
    with SavedModelRunner(foreign(tf.nn.relu)) as runner:
        assert runner.artifact.ends.gives_logits
        found = runner.predict(np.zeros((1, 4, 4, 3), np.uint8))
    np.testing.assert_allclose(found, np.full((1, 3), 1 / 3), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["serving_default", "layers"])
def test_a_model_with_a_second_input_is_refused(copy, name, capfd):
    def change(graph):
        inputs = graph.signature_def[name].inputs
        inputs["mask"].CopyFrom(inputs["images"])

    changed(copy, change)
    refused(copy, "does not map images to probabilities", capfd)


def test_a_graph_for_training_is_refused(copy, capfd):
    changed(copy, lambda graph: graph.meta_info_def.ClearField("tags"))
    refused(copy, "no graph is tagged serve", capfd)


def test_a_model_that_augments_what_it_answers_is_refused_by_that(foreign, capfd):
    """Random operators need others around them, which are not what is the matter."""
    path = foreign(lambda values: values + tf.floor(tf.random.uniform((3,))))
    refused(path, r"an operator RandomUniform .*its answers are drawn at random", capfd)


def test_a_model_that_writes_files_is_refused_and_writes_none(foreign, tmp_path, capfd):
    victim = tmp_path / "victim"

    def function(values):
        with tf.control_dependencies([tf.io.write_file(str(victim), "written")]):
            return tf.identity(values)

    path = foreign(function)
    refused(path, r"an operator WriteFile .*which is not run here", capfd)
    assert not victim.exists()
    tf.saved_model.load(path).signatures["serving_default"](images=tf.zeros((1, 4, 4, 3)))
    assert victim.exists()  # else the graph was harmless


def test_an_operator_that_loading_would_run_is_refused(copy, capfd):
    """Restoring could as well save: over any file that the graph names."""

    def change(graph):
        graph.saver_def.restore_op_name = graph.saver_def.save_tensor_name.partition(":")[0]

    changed(copy, change)
    refused(copy, r"an operator (StaticRegexFullMatch|SaveV2|MergeV2Checkpoints|\w+) ", capfd)


def test_an_initializer_is_not_run(copy, tmp_path, images):
    """Ours has nothing to initialize, and a changed one names whatever it likes."""
    victim = tmp_path / "victim"
    with tf.Graph().as_default() as graph:
        tf.io.write_file(str(victim), "written", name="initializer")

    def change(meta_graph):
        meta_graph.graph_def.node.extend(graph.as_graph_def().node)
        initializer = meta_graph.signature_def["__saved_model_init_op"].outputs
        initializer["__saved_model_init_op"].name = "initializer"

    changed(copy, change)
    with SavedModelRunner(copy) as runner:
        runner.predict(images)
    assert not victim.exists()
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        tf.compat.v1.saved_model.loader.load(session, ["serve"], str(copy))
    assert victim.exists()  # else it was harmless


def test_nodes_are_reached_behind_their_inputs_and_cycles_end():
    nodes = [
        tf.compat.v1.NodeDef(name=name, op="NoOp", input=inputs)
        for name, inputs in {
            "last": ["middle:0", "^first", "missing"],
            "middle": ["first:output:0", "last"],
            "first": [],
            "apart": ["first"],
        }.items()
    ]
    assert [node.name for node in reached(nodes, ["last:0", "last:1"])] == [
        "first",
        "middle",
        "last",
    ]
