"""SavedModel directories behind the runner interface: ours, foreign ones and damaged ones."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from vggexport.errors import ArtifactError
from vggexport.formats.registry import load_exporter
from vggexport.formats.saved_model.graph import reached, read_graph
from vggexport.formats.saved_model.runner import SavedModelRunner

ROUNDING = 1e-6
"""float32 sums of at most 128 products against float64 ones, relative to the largest value."""

DATA = "variables/variables.data-00000-of-00001"
INDEX = "variables/variables.index"


@pytest.fixture(scope="module")
def export(make_request, tmp_path_factory):
    """(input_dtype, batch) -> a directory that is not to be changed."""
    folder, exporter = tmp_path_factory.mktemp("exported"), load_exporter("savedmodel")

    def write(input_dtype="float32", batch=None):
        path = folder / f"{input_dtype}-{batch}"
        if not path.exists():
            request = make_request("float32", input_dtype, batch)
            artifact = replace(request.artifact, format="savedmodel")
            exporter.export(replace(request, artifact=artifact), path)
        return path

    return write


@pytest.fixture
def copied(export, tmp_path):
    """A directory to change."""
    return shutil.copytree(export(), tmp_path / "net")


@pytest.fixture
def runner(export):
    with SavedModelRunner(export("uint8"), threads=1) as runner:
        yield runner


@pytest.fixture(scope="module")
def expected(tiny, tiny_weights, images, numpy_network):
    return numpy_network(tiny, tiny_weights, images)


def open_it(path):
    with SavedModelRunner(path):
        pass


@pytest.mark.parametrize("batch", [None, 6])
@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
@pytest.mark.parametrize("given", ["float32", "uint8"])
def test_pixels_of_either_type_give_the_same_probabilities(
    export, images, expected, input_dtype, given, batch
):
    with SavedModelRunner(export(input_dtype, batch)) as runner:
        probabilities = runner.predict(images.astype(given))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected["probabilities"], rtol=0, atol=ROUNDING)


def test_pixels_that_are_not_whole_are_rounded_for_uint8(runner, images):
    """Not cut off: 99.9999 is 100."""
    nearly = np.maximum(images.astype(np.float32) - 0.001, 0)
    np.testing.assert_array_equal(runner.predict(nearly), runner.predict(images))


def test_every_layer_is_given_by_its_name_in_nhwc(runner, tiny, images, expected):
    names = [layer.name for layer in tiny.layers]
    found = runner.activations(images, iter(names))
    assert list(found) == names
    for name, values in found.items():
        limit = ROUNDING * np.abs(expected[name]).max()
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=limit, err_msg=name)


def test_activations_come_in_the_order_asked_for(runner, images):
    names = ["probabilities", "fc1", "block1_pool"]
    found = runner.activations(images, names)
    assert list(found) == names
    np.testing.assert_allclose(found["probabilities"], runner.predict(images), atol=ROUNDING)
    assert runner.activations(images, []) == {}


def test_what_is_returned_belongs_to_the_caller(export, images):
    pixels = images.astype(np.float32)
    names = ("mean_subtraction", "flatten", "probabilities")
    with SavedModelRunner(export()) as runner:
        found = runner.activations(pixels, names)
        kept = {name: values.copy() for name, values in found.items()}
        pixels[:] = 255 - pixels
        other = runner.predict(pixels)
        other[:] = -1
    assert not np.array_equal(kept["probabilities"], other)
    for name, values in found.items():
        assert values.flags.writeable
        np.testing.assert_array_equal(values, kept[name])


def test_the_images_are_left_as_they_are(export, images):
    pixels = images.astype(np.float32)
    with SavedModelRunner(export()) as runner:
        runner.predict(pixels)
    np.testing.assert_array_equal(pixels, images)


def test_images_that_are_not_contiguous_are_taken_as_they_look(runner, images):
    turned = images[::-1, :, ::-1]
    np.testing.assert_array_equal(
        runner.predict(turned), runner.predict(np.ascontiguousarray(turned))
    )


def test_it_says_what_really_runs(export):
    with SavedModelRunner(export(), threads=3) as runner:
        assert (runner.provider, runner.threads) == ("CPU", 3)
        assert runner.runtime == f"tensorflow {tf.__version__}"
        options = runner._session._config
    assert options.intra_op_parallelism_threads == options.inter_op_parallelism_threads == 3
    assert options.use_per_session_threads
    assert options.device_count["GPU"] == 0


THREADS = """
import os, sys
import numpy as np
from pathlib import Path
from vggexport.formats.registry import load_runner

def threads():
    return len(os.listdir("/proc/self/task"))

runner = load_runner("savedmodel")
from vggexport.formats.keras.model import start_tensorflow
start_tensorflow()
images = np.zeros((2, 16, 16, 3), np.uint8)
with runner(Path(sys.argv[1]), threads=1) as first:
    first.predict(images)
counts = [threads()]
for number in (3, 6):
    with runner(Path(sys.argv[1]), threads=number) as opened:
        opened.predict(images)
        counts.append(threads())
    del opened
counts.append(threads())
print(*counts)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_each_runner_has_threads_of_its_own_and_nothing_is_printed(export):
    """Without TF_OVERRIDE_GLOBAL_THREADPOOL the later ones compute on the threads of the first."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", THREADS, str(export())],
        env={k: v for k, v in os.environ.items() if k != "TF_OVERRIDE_GLOBAL_THREADPOOL"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    base, three, six, after = map(int, done.stdout.split())
    assert (three - base, six - base) == (2 * 3, 2 * 6)  # in operators, and for operators
    assert after == base


def test_the_session_is_released_when_it_is_left_even_by_an_error(export):
    runner = SavedModelRunner(export())
    with pytest.raises(RuntimeError, match="inside"), runner:
        raise RuntimeError("inside")
    assert runner._session is None


def test_the_newest_version_in_tensorflow_servings_layout_is_taken(export, tmp_path, images):
    for version in ("2", "10"):
        shutil.copytree(export(), tmp_path / "net" / version)
    (tmp_path / "net" / "2" / "saved_model.pb").write_bytes(b"older")
    with SavedModelRunner(tmp_path / "net") as runner:
        assert runner.predict(images).shape == (6, 5)


def test_a_directory_with_more_than_versions_is_none(export, tmp_path):
    shutil.copytree(export(), tmp_path / "net" / "1")
    (tmp_path / "net" / "notes").mkdir()
    with pytest.raises(ArtifactError, match=r"saved_model\.pb: No such file"):
        open_it(tmp_path / "net")


@pytest.mark.parametrize("shape", [(2, 8, 16, 3), (2, 16, 16, 1), (16, 16, 3)], ids=str)
def test_images_of_another_shape_are_refused_in_one_line(runner, shape):
    with pytest.raises(ArtifactError, match=r"it takes \(None, 16, 16, 3\)") as raised:
        runner.predict(np.zeros(shape, np.uint8))
    assert "\n" not in str(raised.value)


def test_another_batch_than_the_files_is_refused_in_one_line(export, images):
    with SavedModelRunner(export("uint8", 2)) as runner:
        assert runner.predict(images[:2]).shape == (2, 5)
        with pytest.raises(ArtifactError, match=r"shape \(3, 16, 16, 3\): it takes \(2, 16"):
            runner.predict(images[:3])


def test_a_layer_that_the_file_does_not_have_is_refused(runner, images):
    with pytest.raises(ArtifactError, match=r"has no layer fc8, fc9$"):
        runner.activations(images, ["fc1", "fc8", "fc9"])


# What is damaged


def refused(path, match, capfd):
    """The one line that says why, with nothing else printed."""
    with pytest.raises(ArtifactError, match=match) as raised:
        open_it(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["saved_model.pb", DATA, INDEX])
@pytest.mark.parametrize("kept", [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(copied, name, kept, capfd):
    data = (copied / name).read_bytes()
    (copied / name).write_bytes(data[: int(len(data) * kept)])
    refused(copied, "is not a SavedModel", capfd)


@pytest.mark.parametrize("name", ["saved_model.pb", DATA, INDEX, "variables"])
def test_a_missing_file_is_refused(copied, name, capfd):
    removed = copied / name
    shutil.rmtree(removed) if removed.is_dir() else removed.unlink()
    refused(copied, r"is not a SavedModel.*(No such file|Failed to find)", capfd)


def test_a_flipped_bit_in_the_weights_is_refused(copied, capfd):
    data = bytearray((copied / DATA).read_bytes())
    data[4000] ^= 1
    (copied / DATA).write_bytes(bytes(data))
    refused(copied, "is not a SavedModel that TensorFlow reads: .*[Cc]hecksum", capfd)


@pytest.mark.parametrize("content", [b"", b"a text file\nof two lines\n", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_graph_is_refused(copied, content, capfd):
    (copied / "saved_model.pb").write_bytes(content)
    refused(copied, "is not a SavedModel", capfd)


def test_what_is_no_directory_of_a_model_is_refused(tmp_path, capfd):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "file", "is not a SavedModel directory: Not a directory", capfd)
    refused(tmp_path / "missing", "is not a SavedModel directory: No such file", capfd)
    refused(tmp_path / "empty", r"saved_model\.pb: No such file", capfd)


# What is foreign


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
def test_a_model_with_a_second_input_is_refused(copied, name, capfd):
    def change(graph):
        inputs = graph.signature_def[name].inputs
        inputs["mask"].CopyFrom(inputs["images"])

    changed(copied, change)
    refused(copied, "does not map images to probabilities", capfd)


def test_a_graph_for_training_is_refused(copied, capfd):
    changed(copied, lambda graph: graph.meta_info_def.ClearField("tags"))
    refused(copied, "no graph is tagged serve", capfd)


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


def test_an_operator_that_loading_would_run_is_refused(copied, capfd):
    """Restoring could as well save: over any file that the graph names."""

    def change(graph):
        graph.saver_def.restore_op_name = graph.saver_def.save_tensor_name.partition(":")[0]

    changed(copied, change)
    refused(copied, r"an operator (StaticRegexFullMatch|SaveV2|MergeV2Checkpoints|\w+) ", capfd)


def test_an_initializer_is_not_run(copied, tmp_path, images):
    """Ours has nothing to initialize, and a changed one names whatever it likes."""
    victim = tmp_path / "victim"
    with tf.Graph().as_default() as graph:
        tf.io.write_file(str(victim), "written", name="initializer")

    def change(meta_graph):
        meta_graph.graph_def.node.extend(graph.as_graph_def().node)
        initializer = meta_graph.signature_def["__saved_model_init_op"].outputs
        initializer["__saved_model_init_op"].name = "initializer"

    changed(copied, change)
    with SavedModelRunner(copied) as runner:
        runner.predict(images)
    assert not victim.exists()
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        tf.compat.v1.saved_model.loader.load(session, ["serve"], str(copied))
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


def test_reading_the_graph_reads_no_variables(copied):
    shutil.rmtree(copied / "variables")
    assert "serving_default" in read_graph(copied).signature_def
