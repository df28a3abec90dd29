"""SavedModel directories: what is in them, that bytes repeat, and that TensorFlow alone runs it."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from vggexport.artifact import Artifact
from vggexport.errors import InputError
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import load_exporter
from vggexport.formats.saved_model import exporter as saved_model
from vggexport.precision import Precision
from vggexport.system.digests import sha256

ROUNDING = 1e-6
"""float32 sums of at most 128 products against float64 ones, relative to the largest value."""

VARIANTS = [("float32", None), ("uint8", None), ("float32", 2), ("uint8", 2)]

ELSEWHERE = """
import sys
sys.modules["vggexport"] = sys.modules["keras"] = None  # importing either fails
import numpy as np, tensorflow as tf
from pathlib import Path
folder = Path(sys.argv[1])
with np.load(folder / "images.npz") as images:
    for path in images.files:
        loaded = tf.saved_model.load(path)
        assert list(loaded.signatures) == ["serving_default", "layers"]
        pixels = tf.constant(images[path])
        for name, signature in loaded.signatures.items():
            outputs = signature(images=pixels)
            np.savez(f"{path}-{name}.npz", **{key: values for key, values in outputs.items()})
del sys.modules["vggexport"], sys.modules["keras"]
for _ in range(100): tf.constant(1.0) + 1  # other numbers in TensorFlow's names
sys.path.insert(0, sys.argv[2])
from test_exporter import in_another_process
in_another_process(folder / "request.npz", folder / "written")
"""
"""What a process of its own does: TensorFlow alone runs our directories, then we write one."""


@pytest.fixture(scope="module")
def exporter():
    return load_exporter("savedmodel")


@pytest.fixture(scope="module")
def request_for(make_request):
    """(precision, input_dtype, batch) -> a request."""

    def make(*arguments):
        request = make_request(*arguments)
        return replace(request, artifact=replace(request.artifact, format="savedmodel", path="net"))

    return make


@pytest.fixture(scope="module")
def exported(exporter, request_for, tmp_path_factory):
    """Each variant's directory."""
    folder = tmp_path_factory.mktemp("exported")
    paths = {}
    for number, variant in enumerate(VARIANTS):
        paths[variant] = folder / str(number)
        exporter.export(request_for("float32", *variant), paths[variant])
    return paths


@pytest.fixture(scope="module")
def elsewhere(exported, images, request_for, tiny_weights, tmp_path_factory) -> Path:
    """The folder in which :data:`ELSEWHERE` was run."""
    folder = tmp_path_factory.mktemp("elsewhere")
    pixels = {str(path): images[:batch].astype(dtype) for (dtype, batch), path in exported.items()}
    np.savez(folder / "images.npz", **pixels)
    np.savez(folder / "request.npz", artifact=request_for().artifact.embedded(), **tiny_weights)
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ELSEWHERE, str(folder), here],
        env={**os.environ, "PYTHONHASHSEED": "17"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def loaded_elsewhere(exported, elsewhere):
    """Outputs of both signatures of each variant, by a process that has TensorFlow alone."""
    return {
        (variant, name): dict(np.load(f"{path}-{name}.npz"))
        for variant, path in exported.items()
        for name in ("serving_default", "layers")
    }


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_tensorflow_alone_computes_the_same_as_the_numpy_network(
    loaded_elsewhere, tiny, tiny_weights, images, numpy_network, variant
):
    expected = numpy_network(tiny, tiny_weights, images[: variant[1]])
    served = loaded_elsewhere[variant, "serving_default"]
    layers = loaded_elsewhere[variant, "layers"]
    assert list(served) == ["probabilities"]
    assert set(layers) == {layer.name for layer in tiny.layers}
    assert served["probabilities"].dtype == np.float32
    np.testing.assert_allclose(
        served["probabilities"], expected["probabilities"], rtol=0, atol=ROUNDING
    )
    for name, values in layers.items():
        limit = ROUNDING * np.abs(expected[name]).max()
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=limit, err_msg=name)


def test_the_comparison_sees_one_wrong_weight(
    loaded_elsewhere, tiny, tiny_weights, images, numpy_network
):
    wrong = dict(tiny_weights)
    wrong["block1_conv1/bias"] = tiny_weights["block1_conv1/bias"][::-1]
    other = numpy_network(tiny, wrong, images)["probabilities"]
    found = loaded_elsewhere[VARIANTS[0], "serving_default"]["probabilities"]
    assert np.abs(found - other).max() > 1000 * ROUNDING


def test_every_weight_is_stored_once_and_nothing_else_is(exported, tiny, tiny_weights):
    path = exported[VARIANTS[0]]
    checkpoint = tf.train.load_checkpoint(path / "variables" / "variables")
    graph_key = "_CHECKPOINTABLE_OBJECT_GRAPH"
    shapes = dict(checkpoint.get_variable_to_shape_map())
    shapes.pop(graph_key)
    assert {key.removeprefix("weights/").removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): shape
            for key, shape in shapes.items()} == {
        name: list(tensor.shape) for name, tensor in tiny.tensors.items()
    }  # fmt: skip
    for key in shapes:
        name = "/".join(key.split("/")[1:3])
        np.testing.assert_array_equal(checkpoint.get_tensor(key), tiny_weights[name])
    bookkeeping = len(checkpoint.get_tensor(graph_key)) + 16  # its length and checksum
    size = (path / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert 4 * tiny.parameters < size <= 4 * tiny.parameters + bookkeeping


def test_no_weight_is_in_the_graph(exported, tiny_weights):
    graph = (exported[VARIANTS[0]] / "saved_model.pb").read_bytes()
    for name, values in tiny_weights.items():
        assert values.tobytes()[:16] not in graph, name
    mean = np.array([123.68, 116.779, 103.939], np.float32)
    assert mean.tobytes() in graph  # constants are there as they are, so this would be seen


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_signatures_take_what_was_asked_for(exported, variant):
    input_dtype, batch = variant
    data = (exported[variant] / "saved_model.pb").read_bytes()
    (graph,) = saved_model_pb2.SavedModel.FromString(data).meta_graphs
    for name in ("serving_default", "layers"):
        images = graph.signature_def[name].inputs["images"]
        assert tf.as_dtype(images.dtype).name == input_dtype
        assert [dim.size for dim in images.tensor_shape.dim] == [batch or -1, 16, 16, 3]


def test_the_artifact_and_the_labels_are_inside(exported, request_for):
    extra = exported["uint8", 2] / "assets.extra"
    text = (extra / "vggexport.artifact.json").read_text()
    artifact = request_for("float32", "uint8", 2).artifact
    assert text == artifact.embedded()
    assert Artifact.from_json(json.loads(text)) == artifact
    assert (extra / "labels.txt").read_text() == "ant\nbee\ncat\ndog\neel\n"


def test_without_labels_there_is_no_file_of_them(exporter, request_for, tmp_path):
    request = request_for()
    exporter.export(
        replace(request, artifact=replace(request.artifact, labels=())), tmp_path / "net"
    )
    assert os.listdir(tmp_path / "net" / "assets.extra") == ["vggexport.artifact.json"]


def in_another_process(stored_request, path):
    """What :data:`ELSEWHERE` calls."""
    with np.load(stored_request) as stored:
        weights = {name: stored[name] for name in stored.files if name != "artifact"}
        artifact = Artifact.from_json(json.loads(str(stored["artifact"])))
    request = ExportRequest(artifact, weights)
    load_exporter("savedmodel").export(request, path)


def test_the_same_request_gives_the_same_bytes_in_any_process(
    exporter, request_for, exported, elsewhere, tmp_path
):
    first = exported[VARIANTS[0]]
    exporter.export(request_for(), tmp_path / "second")
    assert sha256(tmp_path / "second") == sha256(first)
    assert sha256(elsewhere / "written") == sha256(first)


def test_tensorflow_leaves_it_to_us_that_bytes_repeat(exporter, request_for, tmp_path, monkeypatch):
    """If this fails, ``_make_reproducible`` may go."""
    monkeypatch.setattr(saved_model, "_make_reproducible", lambda _path: None)
    for name in ("first", "second"):
        exporter.export(request_for(), tmp_path / name)
    assert sha256(tmp_path / "first") != sha256(tmp_path / "second")


def test_another_artifact_gives_other_bytes(exported):
    assert len({sha256(path) for path in exported.values()}) == len(VARIANTS)


@pytest.mark.parametrize("precision", [p.value for p in Precision if p is not Precision.FLOAT32])
def test_another_precision_is_refused_by_name(exporter, request_for, tmp_path, precision):
    message = f"there is no SavedModel in {precision}: use onnx or tflite"
    with pytest.raises(InputError, match=f"^{message}$"):
        exporter.export(request_for(precision), tmp_path / "net")
    assert os.listdir(tmp_path) == []


def test_the_weights_are_read_once_and_in_order(exporter, request_for, tiny, tmp_path):
    request, reads = request_for(), []

    class Recorded(dict):
        def __getitem__(self, name):
            reads.append(name)
            return super().__getitem__(name)

    exporter.export(replace(request, weights=Recorded(request.weights)), tmp_path / "net")
    assert reads == list(tiny.tensors)


def test_nothing_is_printed(exporter, request_for, tmp_path, capfd):
    exporter.export(request_for(), tmp_path / "net")
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_is_the_systems_error_and_prints_nothing(
    exporter, request_for, tmp_path, monkeypatch, capfd
):
    def save(*_arguments):
        os.write(2, b"W0000 op_kernel.cc OP_REQUIRES failed\n")
        raise tf.errors.ResourceExhaustedError(None, None, "data-0; No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", save)
    with pytest.raises(OSError, match="No space left on device") as raised:
        exporter.export(request_for(), tmp_path / "net")
    assert raised.value.errno == errno.ENOSPC
    assert capfd.readouterr() == ("", "")


def test_a_place_that_cannot_be_written_is_the_systems_error(exporter, request_for, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file") as raised:
        exporter.export(request_for(), tmp_path / "file" / "net")
    assert "\n" not in str(raised.value)
