"""What may reach a phone, and what must not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from vggexport.errors import ArtifactError, InputError
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import load_exporter


def manifest(folder):
    return json.loads((folder / "out/MANIFEST.json").read_text())


@pytest.fixture
def calibrated(make_request, ranges, tmp_path):
    """Changes of the calibration's record -> an int8 file that tells them."""

    def calibrated(**changes):
        request = make_request("int8")
        record = replace(request.artifact.calibration, **changes)
        artifact = replace(request.artifact, calibration=record)
        path = tmp_path / "calibrated.onnx"
        load_exporter("onnx").export(ExportRequest(artifact, request.weights, ranges), path)
        return path

    return calibrated


def test_untrained_weights_and_synthetic_calibration_are_refused(
    pack, exported, weights_record, tmp_path, calibrated
):
    untrained = exported("untrained.onnx", record=replace(weights_record, trained=False))
    with pytest.raises(InputError, match=r"untrained\.onnx has untrained weights \(tiny\.npz\)"):
        pack(untrained)
    assert not (tmp_path / "out.zip").exists()
    report = pack(untrained, output="out", allow_untrained=True)
    assert report.failures == ()
    assert "Random weights" in (tmp_path / "out/MODEL_CARD.md").read_text()
    assert manifest(tmp_path)["trained"] is False
    path = calibrated(source="synthetic")
    with pytest.raises(InputError, match="was calibrated on synthetic images") as error:
        pack(path)
    assert "allow_untrained" in str(error.value)


def test_calibration_on_one_class_is_refused_until_it_is_allowed(pack, calibrated, tmp_path):
    path = calibrated(one_class=True)
    with pytest.raises(InputError, match="images of one class to its network") as error:
        pack(path)
    assert "allow_one_class" in str(error.value)
    assert pack(path, output="out", allow_one_class=True).failures == ()
    record = manifest(tmp_path)["artifacts"][0]["artifact"]["calibration"]
    assert record["one_class"] is True


def test_other_weights_labels_and_networks_are_refused(pack, models, exported, weights_record):
    first = models["tiny.onnx"]
    other = exported("weights.onnx", record=replace(weights_record, sha256="ef" * 32))
    with pytest.raises(ArtifactError, match="were made of different weights: SHA-256 is "):
        pack(first, other)
    with pytest.raises(ArtifactError, match="have different labels"):
        pack(first, exported("labels.onnx", labels=("a", "b", "c", "d", "e")))
    renamed = exported("renamed.onnx", record=replace(weights_record, source="moved.npz"))
    assert pack(first, renamed).failures == ()


def test_a_file_that_is_not_what_the_description_beside_it_tells_is_refused(pack, exported):
    path = exported("changed.onnx")
    path.with_name("changed.onnx.json").write_text('{"sha256": "ab"}')
    with pytest.raises(
        ArtifactError, match=r"is not the file that .*changed\.onnx\.json describes"
    ):
        pack(path)


def test_two_files_of_one_name_are_refused(pack, models, tmp_path):
    (tmp_path / "deeper").mkdir()
    copy = Path(shutil.copyfile(models["tiny.onnx"], tmp_path / "deeper/tiny.onnx"))
    with pytest.raises(InputError, match="two models have one name"):
        pack(models["tiny.onnx"], copy)


def test_a_file_that_is_no_model_is_refused(pack, tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ArtifactError):
        pack(tmp_path / "text.onnx")
    with pytest.raises(ArtifactError, match="does not exist"):
        pack(tmp_path / "missing.onnx")
