"""Several files from one reading and one calibration."""

from collections import Counter
from pathlib import Path

import pytest

import vggexport
from tests.recorded_progress import Recorded
from vggexport.errors import InputError, OutputError
from vggexport.metrics.tolerance import Tolerance
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.precision import Precision
from vggexport.weights import random
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.build.several import ExportOptions

FEW = CalibrationOptions(samples=4)
ALL = ExportOptions(("savedmodel", "onnx", "tflite"), tuple(Precision))
NAMES = {
    "vgg_tiny_saved_model",
    *(f"vgg_tiny{precision}.onnx" for precision in ("", "_float16", "_int8", "_int8-w4")),
    *(
        f"vgg_tiny{precision}.tflite"
        for precision in ("", "_float16", "_dynamic-int8", "_int8", "_int8-w4")
    ),
}


pytestmark = pytest.mark.usefixtures("workplace")


def test_every_format_in_every_precision_that_it_has(network, workplace):
    progress = Recorded()
    report = vggexport.export(network, FEW, ALL, progress=progress)
    assert report.failures == ()
    folder = workplace / "vgg_tiny_export"
    assert {path.name for path in folder.iterdir()} == NAMES | {f"{n}.json" for n in NAMES}
    assert [note for note in progress.facts if "left out" in note] == [
        "there is no savedmodel in float16, dynamic-int8, int8, int8-w4: left out",
        "there is no onnx in dynamic-int8: left out",
    ]
    for file in report.files:
        inspection = vggexport.inspect(Path(file.artifact.path))
        assert inspection.artifact == file.artifact
        assert file.artifact.batch == (1 if file.artifact.format == "tflite" else None)


def test_weights_are_read_and_images_calibrated_once(network, monkeypatch):
    drawn = Counter()
    original = random._draw_kernel

    def draw(plan, seed):
        drawn[plan] += 1
        return original(plan, seed)

    monkeypatch.setattr(random, "_draw_kernel", draw)
    progress = Recorded()
    vggexport.export(network, FEW, ALL, progress=progress)
    assert len(drawn) == 6
    assert set(drawn.values()) == {1}
    assert [s for s in progress.steps if " " not in s] == [
        "weights",
        "float32",
        "calibrate",
        "reference",
    ]
    assert sorted(s.partition(" ")[2] for s in progress.steps if s.startswith("export")) == sorted(
        NAMES
    )


def test_the_files_are_those_of_the_single_commands(network):
    vggexport.export(network, FEW, ALL)
    for file in (
        FileOptions("savedmodel"),
        FileOptions("onnx", precision=Precision.INT8),
        FileOptions("tflite", precision=Precision.INT8, batch=1),
        FileOptions("tflite", precision=Precision.INT8_W4, batch=1),
    ):
        report = vggexport.build(network, FEW, file)
        beside = Path("vgg_tiny_export") / Path(report.artifact.path).name
        assert vggexport.inspect(beside).artifact.sha256 == report.artifact.sha256


def test_seconds_are_those_of_the_common_steps_and_of_each_file(network):
    report = vggexport.export(network, FEW, ExportOptions(("tflite",), (Precision.INT8,)))
    common = ["weights", "float32", "calibrate", "reference"]
    assert list(report.common_seconds) == common
    (file,) = report.files
    assert list(file.seconds) == [*common, "export", "check"]
    (own,) = report.own
    assert own.seconds == {step: file.seconds[step] for step in ("export", "check")}


def test_a_file_that_fails_is_not_kept_and_the_others_are(network, tolerate):
    out_of_reach = Tolerance("none is that good", min_logit_sqnr_db=1e6)
    tolerate(out_of_reach, Precision.FLOAT16.profile)
    options = ExportOptions(("onnx",), (Precision.FLOAT32, Precision.FLOAT16), Path("out"))
    report = vggexport.export(network, FEW, options)
    assert len(report.failures) == 1
    assert report.failures[0].startswith("out/vgg_tiny_float16.onnx: SQNR of the logits")
    assert [Path(file.artifact.path).name for file in report.kept] == ["vgg_tiny.onnx"]
    names = sorted(path.name for path in Path("out").iterdir())
    assert names == ["vgg_tiny.onnx", "vgg_tiny.onnx.json"]
    document = report.to_json()
    assert document["passed"] is False
    assert [file["passed"] for file in document["files"]] == [True, False]


def test_ranges_serve_all_files_that_need_some(network):
    vggexport.calibrate(network, FEW, Path("ranges.json"))
    progress = Recorded()
    options = BuildOptions(ranges=Path("ranges.json"))
    vggexport.export(network, FEW, ALL, options, progress)
    assert "calibrate" not in progress.steps


def test_ranges_that_serve_none_are_refused(network):
    options = BuildOptions(ranges=Path("ranges.json"))
    floats = ExportOptions(("onnx", "tflite"), (Precision.FLOAT32,))
    with pytest.raises(InputError, match="have no use in float32, float32"):
        vggexport.export(network, FEW, floats, options)


def test_one_existing_file_refuses_all_before_any_work(network, workplace):
    Path("out").mkdir()
    Path("out/vgg_tiny_int8.tflite").write_bytes(b"old")
    progress = Recorded()
    options = ExportOptions(("onnx", "tflite"), (Precision.FLOAT32, Precision.INT8), Path("out"))
    with pytest.raises(OutputError, match=r"vgg_tiny_int8.tflite exists: pass force"):
        vggexport.export(network, FEW, options, progress=progress)
    assert progress.steps == []
    assert [path.name for path in Path("out").iterdir()] == ["vgg_tiny_int8.tflite"]
    assert vggexport.export(network, FEW, options, BuildOptions(force=True)).failures == ()


def test_a_format_that_has_none_of_the_precisions_is_refused(network, workplace):
    options = ExportOptions(("onnx", "savedmodel"), (Precision.INT8,))
    with pytest.raises(InputError, match="no savedmodel in int8: choose from float32"):
        vggexport.export(network, FEW, options)
    assert list(workplace.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(network):
    options = ExportOptions(("onnx",), (Precision.FLOAT32,), Path("none/out"))
    with pytest.raises(OutputError, match="cannot make the folder none/out"):
        vggexport.export(network, FEW, options)
