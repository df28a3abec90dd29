"""``vggexport evaluate``, as CI jobs run it."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def data(workplace, make_labelled):
    """Five classes of three images of noise."""
    make_labelled(workplace / "data", 3)
    return "data"


@pytest.fixture
def files(run, tiny, workplace):
    """Two formats of one network."""
    (workplace / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    for command in ("onnx", "tflite"):
        assert run(command, *tiny, "--labels", "labels.txt", "--no-check").code == 0
    return "vgg_a.onnx", "vgg_a.tflite"


def test_the_json_has_the_keys_of_the_contract(run, files, data):
    outcome = run("evaluate", *files, "--data", data, "--json")
    assert outcome.code == 0, outcome.stderr
    document = outcome.json
    assert document.keys() >= {"schema", "results", "passed"}
    assert (document["schema"], document["passed"], document["gate"]) == (1, True, None)
    assert [result["path"] for result in document["results"]] == list(files)
    for result in document["results"]:
        assert result.keys() >= {"path", "runtime", "images", "top1", "top5", "agreement"}
        assert (result["images"], result["top5"], result["agreement"]) == (15, 1.0, 1.0)
        assert sum(c["images"] * c["top1"] for c in result["classes"]) == pytest.approx(
            15 * result["top1"]
        )
    assert document["comparisons"][0]["mcnemar_p"] == 1.0


def test_a_gate_that_fails_is_exit_1_with_json_and_reports(run, files, data):
    reports = ("--markdown", "r.md", "--junit", "r.xml", "--html", "r.html")
    outcome = run("evaluate", *files, "--data", data, "--min-top1", "100%", *reports, "--json")
    assert outcome.code == 1
    assert outcome.error.startswith("Error: vgg_a.onnx: top-1 ")
    assert outcome.json["gate"]["verdict"] == "fail"
    assert "❌" in Path("r.md").read_text(encoding="utf-8")
    assert 'failures="2"' in Path("r.xml").read_text(encoding="utf-8")
    assert "data:image/jpeg" in Path("r.html").read_text(encoding="utf-8")


def test_text(run, files, data):
    outcome = run("evaluate", *files, "--data", data, "--min-top1", "0", "--max-drop", "0.1%")
    assert outcome.code == 0, outcome.stderr
    assert "inconclusive on 15 images: vgg_a.tflite: top-1 drop 0.00 points" in outcome.stderr
    assert "asked for; about 2,000 images needed" in outcome.stderr  # 1.96 / 1960 is 0.1 %
    assert "commonest mistakes" in outcome.stdout
    strict = run("evaluate", *files, "--data", data, "--max-drop", "0.1%", "--strict")
    assert (strict.code, "the gate failed" in strict.error) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["vgg_a.onnx"], 2, "--data"),
        (["vgg_a.onnx", "--data", "none"], 2, "'none' is not a folder"),
        (["none.onnx", "--data", "data"], 2, "none.onnx does not exist"),
        (["vgg_a.onnx", "--data", "data", "--csv", "none.csv"], 2, "none.csv"),
        (
            ["vgg_a.onnx", "--data", "data", "--min-top1", "82"],
            2,
            "is not a share below 1: write 82%",
        ),
        (["vgg_a.onnx", "--data", "data", "--min-top1", "x%"], 2, "is not a share from 0 to 1"),
        (["vgg_a.onnx", "--data", "data", "--max-drop", "1%"], 2, "to drop from: name two"),
        (["vgg_a.onnx"] * 2 + ["--data", "data", "--max-drop", "1%"], 2, "names are of one file"),
        (["vgg_a.onnx", "--data", "data", "--provider", "CUDA"], 3, "execution provider CUDA"),
        (["vgg_a.tflite", "--data", "data", "--provider", "CUDA"], 2, "runs none of vgg_a.tflite"),
    ],
)
@pytest.mark.usefixtures("files", "data")
def test_bad_input(run, arguments, code, said):
    outcome = run("evaluate", *arguments)
    assert (outcome.code, said in outcome.error) == (code, True), outcome.stderr


def test_an_empty_class_is_exit_2(run, files, data, workplace):
    (workplace / "data" / "f").mkdir()
    outcome = run("evaluate", *files, "--data", data)
    assert (outcome.code, "classes without an image: 'f'" in outcome.error) == (2, True)


WITHOUT = "import sys; sys.modules[sys.argv.pop()] = None; from vggexport.cli import main; main()"


@pytest.mark.parametrize("package", ["ray", "pandas", "pyarrow"])
def test_without_ray_the_extra_is_named(package):
    """Ray without the packages of Ray Data is as good as none."""
    arguments = ("evaluate", "x.onnx", "--data", "data", "--engine", "ray")
    outcome = subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments, package],
        check=False,
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 3, outcome.stderr
    assert outcome.stdout == ""
    line = f"Error: {package} is not installed: pip install 'vggexport[ray]'\n"
    assert outcome.stderr == line
