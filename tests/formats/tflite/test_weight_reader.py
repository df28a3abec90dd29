"""TFLite files whose weights are others than their names say, and files that are broken."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from vggexport.errors import ArtifactError
from vggexport.formats.model_weights import MEAN_NAME
from vggexport.formats.tflite.weight_reader import TfliteWeights

PRECISIONS = ["float32", "float16", "dynamic-int8", "int8", "int8-w4"]


class Edited:
    """A model as the generated classes' objects, to be changed."""

    def __init__(self, model) -> None:
        self.model = model
        (self.graph,) = model.subgraphs

    def tensor(self, name):
        return next(t for t in self.graph.tensors if t.name.decode() == name)

    def operator(self, output):
        tensors = self.graph.tensors
        return next(
            o for o in self.graph.operators if tensors[o.outputs[0]].name == output.encode()
        )

    def buffer(self, name):
        return self.model.buffers[self.tensor(name).buffer]


@pytest.fixture
def edited(tmp_path):
    """(path, edit) -> the weights of the file after ``edit(Edited)``."""

    def write(path, edit):
        model = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)
        edit(Edited(model))
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), b"TFL3")
        (tmp_path / "edited.tflite").write_bytes(builder.Output())
        return TfliteWeights(tmp_path / "edited.tflite")

    return write


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["block1_conv2/kernel", "fc1/kernel", "fc2/bias"])
def test_a_changed_value_is_seen_in_that_tensor_alone(export, edited, differing, precision, name):
    def change(file):
        file.buffer(name).data = file.buffer(name).data.copy()
        file.buffer(name).data[0] ^= 1

    path = export(precision, format="tflite")
    weights, original = edited(path, change), TfliteWeights(path)
    assert differing(weights, original) == [name]
    assert np.count_nonzero(weights[name] != original[name]) == 1


@pytest.mark.parametrize(
    ("precision", "scales"), [("int8", "fc2/kernel"), ("int8-w4", "fc2/kernel/scales")]
)
def test_a_changed_scale_is_seen_where_it_applies(export, edited, differing, precision, scales):
    def change(file):
        if precision == "int8":
            quantization = file.tensor(scales).quantization
            quantization.scale = quantization.scale * np.float32(2)
        else:
            halves = file.buffer(scales).data.view(np.float16)
            file.buffer(scales).data = (halves * np.float16(2)).view(np.uint8)

    path = export(precision, format="tflite")
    weights, original = edited(path, change), TfliteWeights(path)
    assert differing(weights, original) == ["fc2/kernel"]
    assert (weights["fc2/kernel"] == 2 * original["fc2/kernel"]).all()


def exchange_inputs(file, twins):
    one, other = (file.operator(name) for name in twins)
    one.inputs[1:], other.inputs[1:] = other.inputs[1:].copy(), one.inputs[1:].copy()


def exchange_buffers(file, twins):
    for name in ("kernel", "bias"):
        one, other = (file.tensor(f"{layer}/{name}") for layer in twins)
        one.buffer, other.buffer = other.buffer, one.buffer


@pytest.mark.parametrize("exchange", [exchange_inputs, exchange_buffers])
def test_exchanged_layers(twin_file, twins, edited, exchanged_weights, differing, exchange):
    weights = edited(twin_file("tflite"), lambda file: exchange(file, twins))
    assert not differing(weights, exchanged_weights)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize(
    ("operator", "lacks"),
    [
        ("mean_subtraction", [MEAN_NAME]),
        ("block1_conv2", ["block1_conv2/kernel", "block1_conv2/bias"]),
    ],
)
def test_a_missing_operator_is_named_and_the_others_are_read(
    export, edited, precision, operator, lacks
):
    weights = edited(
        export(precision, format="tflite"),
        lambda file: file.graph.operators.remove(file.operator(operator)),
    )
    for name in lacks:
        with pytest.raises(ArtifactError, match=rf"edited\.tflite has no operator {operator}:"):
            weights[name]
    for name in weights.names:
        assert name in lacks or weights[name].any()


def less_data(file):
    file.buffer("fc2/kernel").data = file.buffer("fc2/kernel").data[:-1]


def no_data(file):
    file.buffer("fc2/kernel").data = None


def another_shape(file):
    file.tensor("fc2/kernel").shape = [32, 128]


def another_type(file):
    file.tensor("fc2/kernel").type = schema.TensorType.STRING


def no_kernel(file):
    file.operator("fc2").inputs = np.asarray([0, -1, -1], np.int32)


def no_inputs(file):
    file.operator("fc2").inputs = file.operator("fc2").inputs[:1]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (less_data, "is damaged"),
        (no_data, "is not a constant"),
        (another_shape, r"has shape \(128, 32\), expected \(64, 64\)|is damaged"),
        (another_type, "is damaged"),
        (no_kernel, "left out"),
        (no_inputs, "is damaged"),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_weights_that_cannot_be_read(export, edited, precision, edit, message):
    weights = edited(export(precision, format="tflite"), edit)
    with pytest.raises(ArtifactError, match=message) as caught:
        weights["fc2/kernel"]
    assert "edited.tflite: fc2/kernel" in str(caught.value)
    assert weights["fc1/kernel"].any()


def differing_zero_points(file):
    points = file.tensor("fc2/kernel").quantization.zeroPoint.copy()
    points[0] = 3
    file.tensor("fc2/kernel").quantization.zeroPoint = points


def one_scale_too_few(file):
    quantization = file.tensor("fc2/kernel").quantization
    quantization.scale = quantization.scale[:-1]


@pytest.mark.parametrize("edit", [differing_zero_points, one_scale_too_few])
def test_integers_that_cannot_be_read(export, edited, edit):
    weights = edited(export("int8", format="tflite"), edit)
    with pytest.raises(ArtifactError, match=r"edited\.tflite: fc2/kernel is damaged"):
        weights["fc2/kernel"]


def no_blocks(file):
    file.tensor("fc2/kernel").quantization = None


def smaller_blocks(file):
    file.tensor("fc2/kernel").quantization.details.blockSize = 32


@pytest.mark.parametrize(
    ("edit", "reason"), [(no_blocks, "int4 without blocks"), (smaller_blocks, "reshape")]
)
def test_blocks_that_cannot_be_read(export, edited, edit, reason):
    weights = edited(export("int8-w4", format="tflite"), edit)
    with pytest.raises(ArtifactError, match=rf"edited\.tflite: fc2/kernel is damaged.*{reason}"):
        weights["fc2/kernel"]


def test_a_file_that_was_cut_off(export, copied):
    path = copied(export("float32", format="tflite"))
    path.write_bytes(path.read_bytes()[:-30_000])
    with pytest.raises(ArtifactError, match="cut off or damaged"):
        TfliteWeights(path)


def test_a_foreign_model(export, edited):
    def forget(file):
        file.model.metadata = []

    with pytest.raises(ArtifactError, match="does not say which network it is"):
        edited(export("float32", format="tflite"), forget)
