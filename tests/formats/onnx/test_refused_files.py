"""Files that ONNX Runtime cannot run as ours: each is refused in one line."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.written_anew import write_anew
from vggexport.artifact import METADATA_KEY
from vggexport.errors import ArtifactError, InputError
from vggexport.formats.onnx.inspector import inspect_onnx
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.formats.onnx.tapped_copy import READINGS
from vggexport.precision import Precision


def open_it(path) -> None:
    with OnnxRunner(path):
        pass


@pytest.mark.parametrize(
    "content", [b"", b"a text file\nof two lines\n", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"]
)
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.onnx is not a model") as raised:
        open_it(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_file_that_is_cut_anywhere_is_refused_in_one_line(export, tmp_path, precision, capfd):
    data = export(precision).read_bytes()
    path = tmp_path / "broken.onnx"
    for size in (*range(0, 2000, 41), *range(2000, len(data), 997), len(data) - 1):
        write_anew(path, data[:size])
        with pytest.raises(ArtifactError, match=r"broken\.onnx is not a model") as raised:
            open_it(path)
        assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_whose_error_cannot_be_quoted_is_refused_in_one_line(export, tmp_path, capfd):
    """ONNX Runtime's message holds the operator's name, which is no UTF-8."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(export().read_bytes().replace(b"Softmax", b"S\xffftmax"))
    with pytest.raises(ArtifactError, match=r"broken\.onnx is not a model") as raised:
        open_it(path)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(InputError, match=f"{path} is not a model that ONNX Runtime reads"):
            open_it(path)


def test_a_model_that_takes_no_image_is_refused(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Relu", ["images"], ["probabilities"])],
        "foreign",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    path = tmp_path / "foreign.onnx"
    onnx.save(model, path)
    with pytest.raises(InputError, match=r"foreign\.onnx was not made by vggexport, and its input"):
        open_it(path)


def halve(model) -> None:
    """Stores one kernel in half precision, as converters of finished files do."""
    kernel = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    name, values = kernel.name, numpy_helper.to_array(kernel)
    kernel.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
    cast = helper.make_node("Cast", [kernel.name], [name], to=TensorProto.FLOAT)
    model.graph.node.insert(0, cast)


def rename_the_input(model) -> None:
    for node in model.graph.node:
        node.input[:] = ["x" if name == "images" else name for name in node.input]
    model.graph.input[0].name = "x"


@pytest.mark.parametrize(
    ("change", "precision"),
    [(halve, Precision.FLOAT16), (rename_the_input, Precision.FLOAT32)],
)
def test_a_file_that_another_tool_made_of_ours_is_that_tools(export, edited, change, precision):
    """It keeps our metadata, which describe the file that it was made of."""
    path = edited(export(), change)
    with OnnxRunner(path) as runner:
        assert runner.artifact.foreign
        assert runner.artifact.precision is precision
    assert inspect_onnx(path).artifact is None


def test_a_file_without_metadata_is_read_as_another_converters(export, edited, images, tiny):
    path = edited(export(), lambda model: model.ClearField("metadata_props"))
    names = [layer.name for layer in tiny.layers[1:]]
    with OnnxRunner(path) as runner, OnnxRunner(export()) as ours:
        assert runner.artifact.foreign
        found, expected = (one.activations(images, names) for one in (runner, ours))
        with pytest.raises(ArtifactError, match="has no layer mean_subtraction that can be read"):
            runner.activations(images, ["mean_subtraction"])
    for name in names:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def described(edit: Callable[[str], str]) -> Callable[[onnx.ModelProto], None]:
    """An edit of what a file says of itself."""

    def change(model: onnx.ModelProto) -> None:
        (entry,) = (entry for entry in model.metadata_props if entry.key == METADATA_KEY)
        before, entry.value = entry.value, edit(entry.value)
        assert entry.value != before

    return change


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text[:-5],
        lambda text: text.replace('"float32"', '"float7"'),
        lambda text: text.replace('"spec"', '"specs"'),
        lambda text: "[]",
    ],
    ids=["cut", "precision", "key", "list"],
)
def test_damaged_metadata_is_refused_in_one_line(export, edited, edit):
    path = edited(export(), described(edit))
    with pytest.raises(ArtifactError, match=r"edited\.onnx: its vggexport metadata") as raised:
        open_it(path)
    assert "\n" not in str(raised.value)


def test_of_a_precision_without_a_reading_only_its_own_outputs_are_read(export, edited, images):
    precision = '"precision": "float32"', '"precision": "dynamic-int8"'
    path = edited(export(), described(lambda text: text.replace(*precision)))
    assert Precision.DYNAMIC_INT8 not in READINGS
    with OnnxRunner(path) as runner:
        assert runner.predict(images).shape == (6, 5)
        with pytest.raises(ArtifactError, match="has no layer fc2 that can be read"):
            runner.activations(images, ["fc2"])
