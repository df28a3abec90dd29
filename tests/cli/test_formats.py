"""``vggexport tflite``, ``savedmodel`` and ``export``, as their users run them."""

import contextlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vggexport.system.digests import files_of, sha256

BLOCKS = ("--fc-units", "64")
"""The networks of these tests are the tiny one with enough units for int4 blocks."""

pytestmark = pytest.mark.usefixtures("any_int8_will_do")

PRECISIONS = ("float32", "float16", "dynamic-int8", "int8", "int8-w4")


@pytest.fixture
def net(tiny) -> tuple[str, ...]:
    return (*tiny, *BLOCKS, "--calibration-samples", "4")


@pytest.fixture
def floats(tiny) -> tuple[str, ...]:
    """The same for what is not calibrated."""
    return (*tiny, *BLOCKS)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tflite_in_every_precision(run, net, listing, precision):
    outcome = run("tflite", *net, "--precision", precision, "--json")
    assert outcome.code == 0, outcome.stderr
    artifact = outcome.json["artifact"]
    suffix = "" if precision == "float32" else f"_{precision}"
    assert artifact["path"] == f"vgg_a{suffix}.tflite"
    assert (artifact["format"], artifact["precision"]) == ("tflite", precision)
    assert (artifact["batch"], artifact["full_integer"]) == (1, False)
    assert (artifact["calibration"] is None) is (not precision.startswith("int8"))
    assert json.loads(Path(f"vgg_a{suffix}.tflite.json").read_text()) == artifact
    assert listing() == sorted([f"vgg_a{suffix}.tflite", f"vgg_a{suffix}.tflite.json"])


def test_quantize_is_int8_and_is_audited(run, net):
    assert run("tflite", *net, "--quantize").code == 0
    assert run("inspect", "vgg_a_int8.tflite", "--require", "int8").code == 0
    run("tflite", *net, "--precision", "dynamic-int8")
    refused = run("inspect", "vgg_a_dynamic-int8.tflite", "--require", "int8")
    assert refused.code == 1
    assert "block1_conv1 (CONV_2D) computes in float" in refused.error


@pytest.mark.parametrize("named", [[], ["--quantize"], ["--precision", "int8"]])
def test_full_integer(run, net, named):
    outcome = run("tflite", *net, *named, "--full-integer", "--json")
    assert outcome.code == 0, outcome.stderr
    artifact = outcome.json["artifact"]
    assert artifact["path"] == "vgg_a_int8_full_integer.tflite"
    assert (artifact["precision"], artifact["input_dtype"]) == ("int8", "uint8")
    assert artifact["full_integer"] is True
    assert outcome.json["check"]["softmax_error"] <= 1.5 / 256
    inspection = run("inspect", artifact["path"], "--json").json
    assert {t["dtype"] for t in inspection["inputs"] + inspection["outputs"]} == {"uint8"}
    dtypes = {d for o in inspection["operators"] for d in o["inputs"] + o["outputs"]}
    assert dtypes <= {"uint8", "int8", "int32"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--precision", "float16"], "--full-integer means --precision int8"),
        (["--input-dtype", "float32"], "--full-integer takes uint8 images"),
    ],
)
def test_full_integer_refuses_what_contradicts_it(run, net, listing, options, said):
    outcome = run("tflite", *net, "--full-integer", *options)
    assert outcome.code == 2
    assert said in outcome.error
    assert listing() == []


def test_labels_are_in_the_file_as_text(run, net, workplace):
    names = ["tench", "white shark", "Äsche", "hen", "ostrich"]
    (workplace / "labels.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    assert run("tflite", *net, "--labels", "labels.txt").code == 0
    with zipfile.ZipFile("vgg_a.tflite") as archive:
        assert archive.read("labels.txt").decode().splitlines() == names
    assert run("inspect", "vgg_a.tflite", "--json").json["artifact"]["labels"] == names


def test_one_calibration_serves_both_formats(run, net):
    """The scales that inspect cannot show are compared in the exporters' tests."""
    assert run("calibrate", *net).code == 0
    fingerprints = set()
    for command in ("onnx", "tflite"):
        outcome = run(command, *net, "--quantize", "--ranges", "vgg_a_ranges.json", "--json")
        assert outcome.code == 0, outcome.stderr
        assert "calibrate" not in outcome.json["seconds"]
        fingerprints.add(outcome.json["artifact"]["calibration"]["fingerprint"])
    assert len(fingerprints) == 1


def test_tflite_as_a_process_says_nothing_of_its_own(smallest, workplace):
    """At the level of file descriptors, where LiteRT tells of its delegate."""
    process = subprocess.run(
        [sys.executable, "-m", "vggexport", "tflite", *smallest, "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=workplace,
    )
    assert json.loads(process.stdout)["artifact"]["path"] == "vgg_a.tflite"
    steps = ("weights: ", "export: ", "check: ", "note: ")
    assert [line for line in process.stderr.splitlines() if not line.startswith(steps)] == []


def test_savedmodel(run, floats, listing):
    outcome = run("savedmodel", *floats, "--json")
    assert outcome.code == 0, outcome.stderr
    artifact = outcome.json["artifact"]
    assert (artifact["path"], artifact["format"]) == ("vgg_a_saved_model", "savedmodel")
    directory = Path("vgg_a_saved_model")
    assert artifact["size_bytes"] == sum(p.stat().st_size for p in files_of(directory))
    assert artifact["sha256"] == sha256(directory)
    assert json.loads(Path("vgg_a_saved_model.json").read_text()) == artifact
    assert {name.partition("/")[0] for name in listing()} == {
        "vgg_a_saved_model",
        "vgg_a_saved_model.json",
    }
    inspection = run("inspect", "vgg_a_saved_model", "--json").json
    assert inspection["artifact"] == artifact
    assert inspection["inputs"] == [
        {"name": "images", "dtype": "float32", "shape": ["batch", 16, 16, 3], "quantization": None}
    ]


def test_savedmodel_for_serving(run, floats):
    outcome = run("savedmodel", *floats, "--serving", "-o", "vgg", "--json")
    assert outcome.json["artifact"]["path"] == "vgg/1"
    assert Path("vgg/1/saved_model.pb").is_file()
    assert run("inspect", "vgg").code == run("inspect", "vgg/1").code == 0
    again = run("savedmodel", *floats, "--serving", "-o", "vgg")
    assert again.code == 2
    assert "vgg/1 exists" in again.error
    assert run("savedmodel", *floats, "--serving", "-o", "vgg", "--force").code == 0


def test_savedmodel_over_a_folder_of_something_else_is_refused(run, floats, workplace):
    (workplace / "photos").mkdir()
    (workplace / "photos" / "a.png").write_bytes(b"mine")
    outcome = run("savedmodel", *floats, "-o", "photos", "--force")
    assert outcome.code == 2
    assert "not replaced" in outcome.error
    assert (workplace / "photos" / "a.png").read_bytes() == b"mine"


@pytest.mark.parametrize("option", ["--quantize", "--full-integer", "--opset"])
def test_savedmodel_has_no_options_that_are_not_for_it(run, floats, option):
    outcome = run("savedmodel", *floats, option)
    assert outcome.code == 2
    assert "No such option" in outcome.error


def test_export(run, net, listing):
    outcome = run(
        "export", *net, "--formats", "savedmodel,onnx,tflite", "--precisions", "float32,int8",
        "-o", "out", "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.stderr
    document = outcome.json
    assert document["schema"] == 1
    assert document["passed"] is True
    assert [file["artifact"]["path"] for file in document["files"]] == [
        "out/vgg_a_saved_model",
        "out/vgg_a.onnx",
        "out/vgg_a_int8.onnx",
        "out/vgg_a.tflite",
        "out/vgg_a_int8.tflite",
    ]
    assert document["seconds"].keys() == {"weights", "float32", "calibrate", "reference"}
    assert all(file["seconds"].keys() == {"export", "check"} for file in document["files"])
    assert "note: there is no savedmodel in int8: left out" in outcome.stderr
    assert not [name for name in listing() if "/." in f"/{name}"]


def test_export_shows_a_table_and_what_to_run_next(run, net):
    outcome = run("export", *net, "--formats", "onnx,tflite", "-o", "out")
    lines = outcome.stdout.splitlines()
    assert lines[0].split() == ["file", "precision", "size", "seconds", "check", "logit", "SQNR"]
    assert [line.split()[0] for line in lines[1:5]] == [
        "out/vgg_a.onnx",
        "out/vgg_a_int8.onnx",
        "out/vgg_a.tflite",
        "out/vgg_a_int8.tflite",
    ]
    rest = " ".join(" ".join(lines[5:]).split())
    paths = "out/vgg_a.onnx out/vgg_a_int8.onnx out/vgg_a.tflite out/vgg_a_int8.tflite"
    assert f"vggexport verify random:0 {paths}" in rest
    assert f"vggexport benchmark {paths}" in rest


def test_export_keeps_what_is_good_and_exits_1(run, net, listing):
    outcome = run(
        "export", *net, "--formats", "onnx", "--precisions", "float32,float16", "-o", "out",
        "--min-logit-sqnr", 100, "--json",
    )  # fmt: skip
    assert outcome.code == 1
    assert outcome.error.startswith("Error: out/vgg_a_float16.onnx: SQNR of the logits")
    assert [file["passed"] for file in outcome.json["files"]] == [True, False]
    assert listing() == ["out", "out/vgg_a.onnx", "out/vgg_a.onnx.json"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--formats", "onnx,coreml"], "'coreml' is not one of savedmodel, onnx, tflite"),
        (["--formats", ""], "'' is not one of"),
        (["--precisions", "int4"], "'int4' is not one of float32, float16"),
        (["--formats", "savedmodel", "--precisions", "int8"], "no savedmodel in int8"),
        (["--batch", "0"], "neither a number from 1 nor 'dynamic'"),
    ],
)
def test_export_refuses_what_there_is_not(run, net, listing, options, said):
    outcome = run("export", *net, *options)
    assert outcome.code == 2
    assert said in outcome.error
    assert listing() == []


def test_export_reads_lists_from_the_configuration_file(run, net, workplace):
    (workplace / "vggexport.toml").write_text(
        '[export]\nformats = ["tflite"]\nprecisions = ["float32", "float16"]\n'
    )
    outcome = run("export", *net, "-o", "out", "--json")
    names = [Path(file["artifact"]["path"]).name for file in outcome.json["files"]]
    assert names == ["vgg_a.tflite", "vgg_a_float16.tflite"]


# What is handed in and cannot be read.


@pytest.fixture(scope="module")
def whole(run, tiny_table, tmp_path_factory):
    """A folder with one whole model of each format."""
    folder = tmp_path_factory.mktemp("whole")
    with contextlib.chdir(folder), tiny_table() as options:
        for command in ("onnx", "tflite", "savedmodel"):
            assert run(command, *options, *BLOCKS).code == 0
    return folder


@pytest.fixture
def models(whole, workplace):
    """A copy of each, to be spoilt."""
    shutil.copytree(whole, workplace, dirs_exist_ok=True)
    return {"onnx": Path("vgg_a.onnx"), "tflite": Path("vgg_a.tflite")}


@pytest.mark.parametrize("file_format", ["onnx", "tflite"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_model_that_was_cut_off_is_refused(run, models, file_format, share):
    path = models[file_format]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    outcome = run("inspect", path)
    assert outcome.code == 2
    assert path.name in outcome.error


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    "part",
    ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"],
)
def test_a_savedmodel_that_lacks_a_part_is_refused(run, part):
    (Path("vgg_a_saved_model") / part).unlink()
    outcome = run("inspect", "vgg_a_saved_model")
    assert outcome.code == 2
    assert "vgg_a_saved_model" in outcome.error


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.tflite", "does not exist"),
        ("text.onxx", "is of no known format"),
        ("texd.onnx", "texd.onnx does not exist: did you mean text.onnx?"),
        ("w.keras", "see its network by summary --weights w.keras"),
        ("w.keras", "make models of it by export --weights w.keras"),
        ("photo.png", "is of no known format"),
        ("text.tflite", "is not a TFLite model"),
        ("text.onnx", "not a readable ONNX model"),
        ("folder", "folder"),
    ],
)
def test_what_is_no_model_is_refused(run, workplace, name, said):
    (workplace / "photo.png").write_bytes(b"\x89PNG")
    (workplace / "text.tflite").write_text("not a model, but long enough to be taken for one")
    (workplace / "text.onnx").write_text("not a model")
    (workplace / "text.onxx").write_text("not a model")
    (workplace / "w.keras").write_bytes(b"PK")
    (workplace / "folder").mkdir()
    outcome = run("inspect", name)
    assert outcome.code == 2
    assert said in outcome.error


def test_pickled_images_are_not_opened(run, net, workplace):
    np.savez(workplace / "images.npz", images=np.array([{"a": 1}], dtype=object))
    outcome = run("tflite", *net, "--quantize", "--calibration-data", "images.npz")
    assert outcome.code == 2
    assert list(workplace.glob("*.tflite")) == []
