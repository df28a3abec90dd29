"""The artifact object: inside the file, beside it, and read back."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from vggexport.artifact import Artifact, sidecar_path
from vggexport.errors import ArtifactError
from vggexport.network.provenance import CalibrationRecord, WeightsRecord
from vggexport.precision import Precision


@pytest.fixture
def artifact(tiny, calibration_record) -> Artifact:
    """No value is a default, so that none can be lost unseen."""
    weights = WeightsRecord(
        "w.npz", "12" * 32, trained=False, layout="torchvision", initialized=("fc1/bias",), seed=3
    )
    return Artifact(
        "out/tiny.onnx",
        "onnx",
        Precision.INT8,
        replace(tiny, mean_rgb=(1.0, 2.0, 3.5)),
        weights,
        calibration_record,
        input_dtype="uint8",
        batch=4,
        labels=("a", "b", "c", "d", "e"),
        tools={"onnx": "1.2"},
        size_bytes=99,
        sha256="ef" * 32,
    )


def through_json(artifact: Artifact) -> Artifact:
    return Artifact.from_json(json.loads(json.dumps(artifact.to_json())))


def test_json_gives_the_same_artifact_again(artifact):
    assert through_json(artifact) == artifact


def test_json_gives_a_bare_float_artifact_again(tiny):
    weights = WeightsRecord("random:0", "12" * 32, trained=False, layout="native")
    bare = Artifact("tiny.onnx", "onnx", Precision.FLOAT32, tiny, weights)
    assert through_json(bare) == bare
    data = bare.to_json()
    assert (data["batch"], data["labels"], data["calibration"]) == ("dynamic", None, None)


def test_json_has_the_keys_of_the_contract(artifact):
    data = artifact.to_json()
    assert {"path", "format", "precision", "size_bytes", "sha256", "spec"} <= data.keys()
    assert {"source", "sha256", "trained"} <= data["weights"].keys()
    assert {"source", "samples", "method", "fingerprint"} <= data["calibration"].keys()
    assert data["precision"] == "int8"
    assert data["weights"]["trained"] is False


def test_what_is_embedded_has_no_folder_no_size_and_no_digest(artifact):
    data = json.loads(artifact.embedded())
    assert (data["path"], data["size_bytes"], data["sha256"]) == ("tiny.onnx", None, None)
    rest = {"path": "out/tiny.onnx", "size_bytes": 99, "sha256": "ef" * 32}
    assert Artifact.from_json(data | rest) == artifact


def test_what_is_embedded_does_not_depend_on_where_it_was_written(artifact):
    elsewhere = replace(artifact, path="other/tiny.onnx", size_bytes=1, sha256=None)
    assert elsewhere.embedded() == artifact.embedded()
    reordered = replace(artifact, tools={"b": "2", "a": "1"})
    assert reordered.embedded() == replace(artifact, tools={"a": "1", "b": "2"}).embedded()


def test_located_fills_in_path_size_and_digest(artifact, tmp_path):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(b"model")
    located = artifact.located(path)
    assert (located.path, located.size_bytes) == (str(path), 5)
    assert located.sha256 == hashlib.sha256(b"model").hexdigest()
    assert replace(located, path="", size_bytes=None, sha256=None) == replace(
        artifact, path="", size_bytes=None, sha256=None
    )
    target = Path("later/tiny.onnx")
    assert artifact.located(path, target) == replace(located, path=str(target))


def test_the_sidecar_keeps_the_whole_name():
    assert sidecar_path(Path("a/vgg.v2.onnx")) == Path("a/vgg.v2.onnx.json")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("precision", "int7"),
        ("spec", {}),
        ("spec", []),
        ("weights", None),
        ("weights", {"source": "x"}),
        ("calibration", {"source": "x"}),
        ("batch", "some"),
        ("batch", 0),
        ("batch", float("inf")),
        ("calibration", "x"),
        ("labels", 5),
        ("size_bytes", "many"),
        ("tools", "x"),
        ("labels", ["ant", None]),
        ("tools", {"onnx": {}}),
        ("tools", [["onnx", "1"]]),
    ],
)
def test_a_description_with_a_wrong_value_is_refused(artifact, key, value):
    with pytest.raises(ArtifactError, match="artifact description is not readable"):
        Artifact.from_json(artifact.to_json() | {key: value})


def test_a_description_that_lacks_a_key_is_refused(artifact):
    for key in artifact.to_json().keys() - {"pictures", "symmetric"}:  # which 0.1.0 did not write
        rest = {name: value for name, value in artifact.to_json().items() if name != key}
        with pytest.raises(ArtifactError, match=key):
            Artifact.from_json(rest)


@pytest.mark.parametrize("data", [[], "text", 5, None])
def test_json_of_another_kind_is_refused(data):
    with pytest.raises(ArtifactError):
        Artifact.from_json(data)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"source": "renamed.npz"}, True),
        ({"trained": True}, True),
        ({"sha256": "34" * 32}, False),
        ({"layout": "keras"}, False),
        ({"initialized": ()}, False),
        ({"seed": 4}, False),
    ],
)
def test_tensors_are_the_same_by_content_not_by_name(artifact, change, same):
    assert artifact.weights.same_tensors(replace(artifact.weights, **change)) is same


def test_calibration_keeps_the_digests_in_order(calibration_record):
    again = CalibrationRecord.from_json(json.loads(json.dumps(calibration_record.to_json())))
    assert again == calibration_record
    assert again.image_digests == ("01" * 32, "02" * 32)
