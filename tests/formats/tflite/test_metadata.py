"""What a TFLite file says of itself, read field by field by the numbers of metadata_schema.fbs."""

import json
import zipfile
from dataclasses import replace

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import encode, number_types
from flatbuffers.table import Table

from vggexport.formats.registry import load_exporter
from vggexport.formats.tflite.file_reader import TfliteFile
from vggexport.formats.tflite.metadata import append_labels, tflite_metadata
from vggexport.network.head import HeadActivation
from vggexport.results.requirements import Requirements

LABELS = ["ant", "bee", "cat", "dog", "eel"]


class Fields:
    """A table whose fields are asked for by their number in the schema."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @classmethod
    def root(cls, data: bytes) -> "Fields":
        start = encode.Get(number_types.UOffsetTFlags.packer_type, data, 0)
        return cls(Table(data, start))

    def _offset(self, field: int) -> int:
        return self._table.Offset(4 + 2 * field)

    def has(self, field: int) -> bool:
        return self._offset(field) != 0

    def text(self, field: int) -> str:
        return self._table.String(self._offset(field) + self._table.Pos).decode()

    def byte(self, field: int) -> int:
        return self._table.Get(number_types.Uint8Flags, self._offset(field) + self._table.Pos)

    def table(self, field: int) -> "Fields":
        start = self._table.Indirect(self._offset(field) + self._table.Pos)
        return Fields(Table(self._table.Bytes, start))

    def union(self, field: int) -> "Fields":
        child = Table(self._table.Bytes, 0)
        self._table.Union(child, self._offset(field))
        return Fields(child)

    def tables(self, field: int) -> list["Fields"]:
        start = self._table.Vector(self._offset(field))
        count = self._table.VectorLen(self._offset(field))
        positions = [self._table.Indirect(start + 4 * index) for index in range(count)]
        return [Fields(Table(self._table.Bytes, position)) for position in positions]

    def floats(self, field: int) -> list[float]:
        vector = self._table.GetVectorAsNumpy(number_types.Float32Flags, self._offset(field))
        return vector.tolist()


# Numbers of fields in tensorflow/lite/support/metadata/metadata_schema.fbs.
MODEL = {"name": 0, "description": 1, "version": 2, "subgraphs": 3, "min_parser_version": 7}
SUBGRAPH = {"inputs": 2, "outputs": 3}
TENSOR = {"name": 0, "description": 1, "content": 3, "process_units": 4, "associated_files": 6}
KIND, VALUE = 0, 1  # of the union that Content and ProcessUnit begin with
IMAGE_PROPERTIES, RGB = 2, 1
NORMALIZATION_OPTIONS, MEAN, STD = 1, 0, 1
FILE_NAME, FILE_TYPE, TENSOR_AXIS_LABELS = 0, 2, 2


@pytest.fixture
def exported(make_request, tmp_path):
    """(input_dtype, labels) -> a float32 file."""

    def write(input_dtype: str = "float32", labels: list[str] = LABELS):
        request = make_request("float32", input_dtype, format="tflite")
        artifact = replace(request.artifact, labels=tuple(labels))
        path = tmp_path / "m.tflite"
        load_exporter("tflite").export(replace(request, artifact=artifact), path)
        return path

    return write


def metadata(path) -> bytes:
    return TfliteFile(path).metadata["TFLITE_METADATA"]


def ends(path) -> tuple[Fields, Fields]:
    """The descriptions of the input and of the output."""
    (subgraph,) = Fields.root(metadata(path)).tables(MODEL["subgraphs"])
    (images,), (probabilities,) = (subgraph.tables(SUBGRAPH[name]) for name in SUBGRAPH)
    return images, probabilities


def test_the_artifact_is_inside_without_what_it_cannot_know(export, make_request):
    request = make_request("int8", "uint8", 3, format="tflite")
    file = TfliteFile(export("int8", "uint8", 3, format="tflite"))
    data = json.loads(file.metadata["vggexport.artifact"])
    assert (data["size_bytes"], data["sha256"], data["path"]) == (None, None, "tiny.tflite")
    assert (data["format"], data["precision"], data["batch"]) == ("tflite", "int8", 3)
    assert file.artifact() == request.artifact


@pytest.mark.parametrize(
    ("precision", "oldest"),
    [
        ("float32", (1, 6)),
        ("float16", (1, 15)),
        ("int8", (2, 3)),
        ("dynamic-int8", (2, 17)),
        ("int8-w4", (2, 21)),
    ],
)
def test_the_oldest_runtime_is_the_one_of_the_newest_operator(export, precision, oldest):
    """As TensorFlow's table has it; the runtime that is told to have run it is no older."""
    file = TfliteFile(export(precision, batch=1, format="tflite"))
    told = file.metadata["min_runtime_version"]
    assert told == f"{oldest[0]}.{oldest[1]}.0".encode().ljust(16, b"\0")
    tried = Requirements.of(file.artifact()).oldest_runtimes.get("tflite-runtime")
    assert (tried is None) == (oldest > (2, 14))
    assert tried in {None, "2.14.0"}


def test_the_model_is_named_and_described(exported):
    data = metadata(exported())
    assert flatbuffers.util.BufferHasIdentifier(data, 0, b"M001")
    model = Fields.root(data)
    assert model.text(MODEL["name"]) == "VGG-tiny"
    assert model.text(MODEL["description"]) == (
        "VGG (arXiv 1409.1556), float32, 5 classes, weights tiny.npz"
    )
    assert model.text(MODEL["version"]) == "abababababab"
    assert model.text(MODEL["min_parser_version"]) == "1.0.0"


MEANINGS = {
    (HeadActivation.SOFTMAX, 5): "one probability a class",
    (HeadActivation.SIGMOID, 5): "one probability a class, each for itself: they do not sum to 1",
    (HeadActivation.SIGMOID, 1): "one probability, of the second class; that of the first is what "
    "is missing to 1",
}


@pytest.mark.parametrize(("activation", "classes"), MEANINGS)
def test_it_says_what_its_probabilities_are_of(make_request, activation, classes):
    artifact = make_request("float32", "float32", format="tflite").artifact
    spec = replace(artifact.spec, head_activation=activation, classes=classes)
    model = Fields.root(tflite_metadata(replace(artifact, spec=spec)))
    told_apart = max(classes, 2)
    assert f"float32, {told_apart} classes, weights" in model.text(MODEL["description"])
    (subgraph,) = model.tables(MODEL["subgraphs"])
    (probabilities,) = subgraph.tables(SUBGRAPH["outputs"])
    assert probabilities.text(TENSOR["description"]) == MEANINGS[activation, classes]


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_images_are_rgb(exported, input_dtype):
    images, _ = ends(exported(input_dtype))
    assert images.text(TENSOR["name"]) == "images"
    assert images.text(TENSOR["description"]) == (
        f"RGB 0...255, NHWC, 16 pixels a side, {input_dtype}; "
        "nothing is to be subtracted or divided"
    )
    content = images.table(TENSOR["content"])
    assert content.byte(KIND) == IMAGE_PROPERTIES
    assert content.union(VALUE).byte(0) == RGB


def test_float_images_are_to_be_left_as_they_are(exported):
    """The task libraries demand normalization options for float images."""
    images, _ = ends(exported("float32"))
    (unit,) = images.tables(TENSOR["process_units"])
    assert unit.byte(KIND) == NORMALIZATION_OPTIONS
    options = unit.union(VALUE)
    assert (options.floats(MEAN), options.floats(STD)) == ([0.0], [1.0])


def test_uint8_images_have_no_normalization(exported):
    images, _ = ends(exported("uint8"))
    assert not images.has(TENSOR["process_units"])


def test_probabilities_name_the_file_of_their_labels(exported):
    _, probabilities = ends(exported())
    assert probabilities.text(TENSOR["name"]) == "probabilities"
    (file,) = probabilities.tables(TENSOR["associated_files"])
    assert file.text(FILE_NAME) == "labels.txt"
    assert file.byte(FILE_TYPE) == TENSOR_AXIS_LABELS


def test_labels_are_in_an_archive_behind_a_model_that_still_runs(exported, images):
    path = exported()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode().splitlines() == LABELS
    interpreter = Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner()
    found = runner(images=images[:1].astype(np.float32))["probabilities"]
    assert found.shape == (1, 5)


def test_labels_in_any_script_are_utf_8(exported):
    labels = ["Käfer", "蟻", "żuk", "a, b", ""]
    with zipfile.ZipFile(exported(labels=labels)) as archive:
        assert archive.read("labels.txt") == "Käfer\n蟻\nżuk\na, b\n\n".encode()


def test_without_labels_there_is_neither_an_archive_nor_a_mention(exported):
    path = exported(labels=[])
    assert not zipfile.is_zipfile(path)
    _, probabilities = ends(path)
    assert not probabilities.has(TENSOR["associated_files"])


def test_the_archive_changes_nothing_in_front_of_it(exported, tmp_path):
    bare = exported(labels=[]).read_bytes()
    append_labels(path := tmp_path / "bare.tflite", [])
    assert not path.exists()  # nothing is opened without labels
    path.write_bytes(bare)
    append_labels(path, LABELS)
    assert path.read_bytes().startswith(bare)
    assert zipfile.is_zipfile(path)


def test_the_same_labels_are_the_same_bytes_at_any_time(tmp_path, monkeypatch):
    import time

    written = []
    for seconds in (1e9, 2e9):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: seconds)
        path = tmp_path / f"{seconds}.tflite"
        path.write_bytes(b"model")
        append_labels(path, LABELS)
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_the_description_is_for_people(exported):
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(exported().read_bytes(), 0)
    assert model.description == (
        b"VGG-tiny (arXiv 1409.1556), float32. Input: RGB 0...255, NHWC, float32; the mean "
        b"subtraction is inside."
    )
