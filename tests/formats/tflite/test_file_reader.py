"""Reading TFLite files, whole, foreign and damaged."""

import struct

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from vggexport.artifact import METADATA_KEY
from vggexport.errors import ArtifactError
from vggexport.formats.tflite.file_reader import TfliteFile
from vggexport.formats.tflite.inspector import inspect_tflite

PRECISIONS = ["float32", "float16", "dynamic-int8", "int8", "int8-w4"]


@pytest.fixture
def saved(tmp_path):
    """Saves bytes, and gives the path."""

    def save(content: bytes):
        path = tmp_path / "changed.tflite"
        path.write_bytes(content)
        return path

    return save


@pytest.fixture
def edited(saved):
    """(path, edit) -> the file after ``edit(model)``, written anew by the generated classes."""

    def write(path, edit):
        model = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)
        edit(model)
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), b"TFL3")
        return saved(bytes(builder.Output()))

    return write


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """What TensorFlow's own converter makes: a convolution, a ReLU and a product."""
    import tensorflow as tf

    kernel = tf.constant(np.arange(54, dtype=np.float32).reshape(3, 3, 3, 2))
    matrix = tf.constant(np.ones((32, 5), np.float32))
    bias = tf.constant(np.arange(5, dtype=np.float32))

    @tf.function(input_signature=[tf.TensorSpec((1, 4, 4, 3), tf.float32)])
    def network(pixels):
        features = tf.nn.relu(tf.nn.conv2d(pixels, kernel, 1, "SAME"))
        return {"scores": tf.reshape(features, (1, 32)) @ matrix + bias}

    module = tf.Module()
    module.network = network
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [network.get_concrete_function()], module
    )
    path = tmp_path_factory.mktemp("foreign") / "foreign.tflite"
    path.write_bytes(converter.convert())
    return path


def test_the_interface_is_read(export):
    file = TfliteFile(export("float32", "uint8", 2, format="tflite"))
    (images,), (probabilities,) = file.inputs, file.outputs
    assert (images.name, images.dtype, images.shape) == ("images", "uint8", (2, 16, 16, 3))
    assert (probabilities.name, probabilities.dtype) == ("probabilities", "float32")
    assert probabilities.shape == (2, 5)
    assert file.signature == {"images": images, "probabilities": probabilities}


def test_free_sizes_are_minus_one_and_those_of_constants_are_their_own(export):
    tensors = {t.name: t for t in TfliteFile(export(format="tflite")).tensors}
    assert tensors["images"].shape == (-1, 16, 16, 3)
    assert tensors["block1_conv1/kernel"].shape == (4, 3, 3, 3)
    assert tensors["fc2/bias"].shape == (64,)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tensors_are_as_the_interpreter_has_them(export, precision):
    path = export(precision, "float32", 2, format="tflite")
    interpreter = Interpreter(model_path=str(path))
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    file = TfliteFile(path)
    assert [tensor.index for tensor in file.tensors] == list(range(len(file.tensors)))
    for tensor in file.tensors:
        detail = details[tensor.index]
        assert (tensor.name, tensor.shape) == (detail["name"], tuple(detail["shape"]))
        # LiteRT's Python has no int4, and gives the type of what holds it.
        assert tensor.dtype in {np.dtype(detail["dtype"]).name, "int4"}
        quantization = detail["quantization_parameters"]
        if not tensor.block_size:
            np.testing.assert_array_equal(tensor.scales, quantization["scales"])
            np.testing.assert_array_equal(tensor.zero_points, quantization["zero_points"])
            assert tensor.axis == quantization["quantized_dimension"]


def test_constants_have_their_bytes_and_activations_none(export, tiny_weights):
    tensors = {t.name: t for t in TfliteFile(export(format="tflite")).tensors}
    bias = tensors["fc1/bias"].data
    assert bias.dtype == np.uint8
    np.testing.assert_array_equal(bias.view(np.float32), tiny_weights["fc1/bias"])
    assert tensors["fc1"].data.size == tensors["images"].data.size == 0
    assert tensors["flatten/shape"].data.view(np.int32).tolist() == [-1, 128]


def test_blocks_are_seen(export):
    tensors = {t.name: t for t in TfliteFile(export("int8-w4", format="tflite")).tensors}
    assert {t.name for t in tensors.values() if t.block_size} == {
        "fc1/kernel", "fc2/kernel", "predictions/kernel",
    }  # fmt: skip
    kernel = tensors["fc1/kernel"]
    assert (kernel.dtype, kernel.shape, kernel.block_size) == ("int4", (64, 128), 64)
    assert kernel.data.size == 64 * 128 / 2
    assert kernel.block_scales == tensors["fc1/kernel/scales"].index
    assert (tensors["fc1"].block_size, tensors["fc1"].block_scales) == (0, -1)


def test_operators_have_types_versions_and_tensors(export):
    file = TfliteFile(export("int8", format="tflite"))
    names = [tensor.name for tensor in file.tensors]
    (convolution, *_) = (o for o in file.operators if o.type == "CONV_2D")
    assert convolution.version == 3
    assert [names[i] for i in convolution.inputs] == [
        "mean_subtraction/int8", "block1_conv1/kernel", "block1_conv1/bias",
    ]  # fmt: skip
    assert [names[i] for i in convolution.outputs] == ["block1_conv1"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_artifact_is_the_one_that_was_written(export, make_request, precision):
    file = TfliteFile(export(precision, format="tflite"))
    assert file.artifact() == make_request(precision, format="tflite").artifact
    names = {"vggexport.artifact", "TFLITE_METADATA", "min_runtime_version"}
    assert set(file.metadata) == names


def test_a_foreign_file_is_read(foreign):
    file = TfliteFile(foreign)
    assert file.artifact() is None
    assert {t.name for t in file.signature.values()} == {t.name for t in file.inputs + file.outputs}
    assert len(file.signature) == 2
    assert "scores" in file.signature
    assert file.inputs[0].shape == (1, 4, 4, 3)
    assert [operator.type for operator in file.operators] == [
        "CONV_2D", "RESHAPE", "FULLY_CONNECTED",
    ]  # fmt: skip
    kernel = file.tensors[file.operators[0].inputs[1]]
    assert kernel.shape == (2, 3, 3, 3)
    expected = np.einsum("hwio->ohwi", np.arange(54, dtype=np.float32).reshape(3, 3, 3, 2))
    np.testing.assert_array_equal(kernel.data.view(np.float32).reshape(kernel.shape), expected)


def test_a_file_without_a_signature_is_read_by_its_tensors_names(export, edited):
    def without(model):
        model.signatureDefs = None

    file = TfliteFile(edited(export(format="tflite"), without))
    assert list(file.signature) == ["images", "probabilities"]


def test_inputs_that_are_left_out_are_minus_one(export, edited):
    def without_bias(model):
        model.subgraphs[0].operators[1].inputs = [*model.subgraphs[0].operators[1].inputs[:2], -1]

    path = edited(export(format="tflite"), without_bias)
    assert TfliteFile(path).operators[1].inputs[2] == -1
    assert inspect_tflite(path).operators[1].inputs[2] == ""


def test_an_operator_without_tensors_is_read(export, edited):
    """Such as those that set up variables."""

    def add(model):
        operator = schema.OperatorT()
        operator.opcodeIndex = 0
        model.subgraphs[0].operators.append(operator)

    path = edited(export(format="tflite"), add)
    last = TfliteFile(path).operators[-1]
    assert (last.inputs, last.outputs) == ((), ())
    described = inspect_tflite(path).operators[-1]
    assert (described.name, described.weights_dtype) == (described.type, None)


def refused(path) -> str:
    with pytest.raises(ArtifactError, match=path.name) as raised:
        TfliteFile(path)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("precision", ["float32", "int8", "int8-w4"])
def test_a_file_that_is_cut_anywhere_in_front_of_its_labels_is_refused(export, saved, precision):
    data = export(precision, format="tflite").read_bytes()
    model = data.index(b"PK\x03\x04")
    eighths = [len(data) * part // 8 for part in range(1, 8)]
    for size in (*range(1, 200), *range(200, model, 331), *eighths, model - 1):
        refused(saved(data[:size]))
    assert TfliteFile(saved(data[:model])).artifact() is not None  # all that LiteRT reads is there


@pytest.mark.parametrize(
    "content",
    [
        b"a text file\nof two lines\n",
        b"\x89PNG\r\n\x1a\n",
        b"PK\x03\x04",
        bytes(64),
        b"\x08\x08\x12\x0bvggexport" * 4,
        b"TFL3" * 64,
        bytes(4) + b"TFL3",
        b"\xff" * 4 + b"TFL3" + b"\xff" * 100,
        struct.pack("<I", 8) + b"TFL3" + bytes(1000),
        np.random.default_rng(0).bytes(5000),
        struct.pack("<I", 64) + b"TFL3" + np.random.default_rng(1).bytes(5000),
    ],
    ids=range(11),
)
def test_what_is_no_model_is_refused(saved, content):
    refused(saved(content))


def test_an_empty_file_a_missing_one_and_a_folder_are_refused(saved, tmp_path):
    assert "is empty" in refused(saved(b""))
    assert "No such file" in refused(tmp_path / "missing.tflite")
    assert "Is a directory" in refused(tmp_path)


def test_another_identifier_is_refused(export, saved):
    data = export(format="tflite").read_bytes()
    assert "does not begin like one" in refused(saved(data[:4] + b"TFL2" + data[8:]))
    assert "does not begin like one" in refused(saved(export().read_bytes()))  # an ONNX file


def read_all(path) -> None:
    """Everything that a caller can ask of a file, and what is said of it."""
    file = TfliteFile(path)
    assert file.operators
    assert file.signature is not None
    for operator in file.operators:
        assert all(file.tensors[i].name is not None for i in (*operator.inputs, *operator.outputs))
    file.artifact()
    inspect_tflite(path)


@pytest.mark.parametrize("precision", ["int8", "int8-w4"])
def test_a_head_with_a_byte_changed_is_read_or_refused_in_one_line(export, saved, precision):
    path = export(precision, format="tflite")
    data = path.read_bytes()
    kernel = next(t for t in TfliteFile(path).tensors if t.name == "block1_conv1/kernel")
    head = data.index(kernel.data.tobytes())  # the first weight
    random = np.random.default_rng(0)
    messages = []
    for position in random.integers(0, head, 250):
        changed = bytearray(data)
        changed[position] ^= int(random.integers(1, 256))
        try:
            read_all(saved(bytes(changed)))
        except ArtifactError as error:
            messages.append(str(error))
    assert 20 < len(messages) < 230  # some of both
    assert not any("\n" in message for message in messages)


def set_input(model):
    model.subgraphs[0].operators[2].inputs[1] = 1000


def set_negative_input(model):
    model.subgraphs[0].operators[2].inputs[1] = -2


def set_output(model):
    model.subgraphs[0].operators[2].outputs[0] = -1


def set_graph_output(model):
    model.subgraphs[0].outputs[0] = -1


def set_signature(model):
    model.signatureDefs[0].inputs[0].tensorIndex = 1000


def set_buffer(model):
    model.subgraphs[0].tensors[3].buffer = 1000


def set_metadata(model):
    model.metadata[0].buffer = 1000


def set_code(model):
    model.subgraphs[0].operators[0].opcodeIndex = 1000


def drop_operators(model):
    model.subgraphs[0].operators = []


def drop_graph(model):
    model.subgraphs = []


@pytest.mark.parametrize(
    "edit",
    [
        set_input, set_negative_input, set_output, set_graph_output, set_signature, set_buffer,
        set_metadata, set_code, drop_operators, drop_graph,
    ],
)  # fmt: skip
def test_a_number_that_leads_nowhere_is_refused(export, edited, edit):
    assert "cut off or damaged" in refused(edited(export(format="tflite"), edit))


def without_metadata(model):
    model.metadata = None


def parameters(model, name: bytes):
    return next(t.quantization for t in model.subgraphs[0].tensors if t.name == name)


def set_scale(value: float):
    def edit(model):
        parameters(model, b"fc1").scale = [value]

    return edit


def set_zero_point(value: int):
    def edit(model):
        parameters(model, b"fc1").zeroPoint = [value]

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        *map(set_scale, (-0.5, float("nan"), float("inf"))),
        *map(set_zero_point, (-129, 128, 2**40)),
    ],
    ids=range(6),
)
def test_parameters_that_no_integer_has_are_refused(export, edited, edit):
    """LiteRT ends the process on some of them."""
    assert "cut off or damaged" in refused(edited(export("int8", format="tflite"), edit))


@pytest.mark.parametrize(
    ("scales", "size"), [(1000, 64), (-1, 64), (0, 64), (None, 0), (None, -64)], ids=str
)
def test_blocks_without_scales_are_refused(export, edited, scales, size):
    """LiteRT ends the process on them. The first tensor, the images, holds no values."""

    def edit(model):
        details = parameters(model, b"fc1/kernel").details
        details.scales = details.scales if scales is None else scales
        details.blockSize = size

    assert "cut off or damaged" in refused(edited(export("int8-w4", format="tflite"), edit))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_file_of_any_precision_that_was_written_anew_is_read(export, edited, precision):
    """So the refusals above are of what was changed."""
    read_all(edited(export(precision, format="tflite"), lambda _model: None))


def test_a_file_without_metadata_is_not_ours(export, edited):
    path = edited(export(format="tflite"), without_metadata)
    assert TfliteFile(path).artifact() is None
    assert TfliteFile(path).metadata == {}


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"5", b"{}", b'{"path": "x"}', b'"text"', b"\xff\xfe"]
)
def test_damaged_metadata_is_refused_when_it_is_asked_for(export, edited, text):
    def edit(model):
        (entry,) = (e for e in model.metadata if e.name == METADATA_KEY.encode())
        model.buffers[entry.buffer].data = np.frombuffer(text, np.uint8)

    file = TfliteFile(edited(export(format="tflite"), edit))
    with pytest.raises(ArtifactError, match=r"changed\.tflite: its vggexport metadata is damaged"):
        file.artifact()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_copy_has_the_outputs_asked_for_and_is_otherwise_the_same(export, tmp_path, count):
    path, copy = export("int8", format="tflite"), tmp_path / "copy.tflite"
    file = TfliteFile(path)
    wanted = [t for t in file.tensors if t.name in {"fc1", "flatten", "block1_pool", "fc2"}]
    wanted = [*file.outputs, *wanted][:count]
    file.write_with_outputs(wanted, copy)
    before, after = path.read_bytes(), copy.read_bytes()
    assert sum(a != b for a, b in zip(before, after, strict=False)) <= 4  # one offset
    assert 0 < len(after) - len(before) <= 4 + 4 + 4 * count
    assert [t.name for t in TfliteFile(copy).outputs] == [t.name for t in wanted]
    interpreter = Interpreter(model_path=str(copy))
    interpreter.allocate_tensors()
    found = [detail["name"] for detail in interpreter.get_output_details()]
    assert found == [tensor.name for tensor in wanted]
    assert path.read_bytes() == before
