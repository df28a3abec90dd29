"""TFLite files that are cut, changed or not what they should be: read or refused."""

import struct

import numpy as np
import pytest

from tests.written_anew import write_anew
from vggexport.artifact import METADATA_KEY
from vggexport.errors import ArtifactError
from vggexport.formats.tflite.file_reader import TfliteFile
from vggexport.formats.tflite.inspector import inspect_tflite

PRECISIONS = ["float32", "float16", "dynamic-int8", "int8", "int8-w4"]


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


@pytest.fixture
def saved(tmp_path):
    """Saves bytes, and gives the path."""

    def save(content: bytes):
        path = tmp_path / "changed.tflite"
        write_anew(path, content)
        return path

    return save


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_file_of_any_precision_that_was_written_anew_is_read(export, edited, precision):
    """So the refusals above are of what was changed."""
    read_all(edited(export(precision, format="tflite"), lambda _model: None))


def test_a_file_without_metadata_is_not_ours(export, edited):
    path = edited(export(format="tflite"), without_metadata)
    assert TfliteFile(path).artifact() is None
    assert TfliteFile(path).metadata == {}
