"""Where outputs go: what is in the way, and when that is said."""

import json
from pathlib import Path

import pytest


@pytest.fixture(params=["onnx", "onnx --quantize", "calibrate"])
def command(request, tiny):
    return (*request.param.split(), *tiny, "--calibration-samples", 4, "-o")


@pytest.fixture
def name(command):
    """An output of the suffix that the command writes."""
    return "out.json" if "calibrate" in command else "out.onnx"


def test_an_existing_output_is_refused(run, command, name, workplace, listing):
    (workplace / name).write_bytes(b"old")
    outcome = run(*command, name)
    assert outcome.code == 2
    assert f"{name} exists" in outcome.error
    assert "--force" in outcome.error
    assert (workplace / name).read_bytes() == b"old"
    assert listing() == [name]


def test_an_existing_output_is_replaced(run, tiny, workplace, listing):
    (workplace / "out.onnx").write_bytes(b"old")
    (workplace / "out.onnx.json").write_bytes(b"old")
    outcome = run("onnx", *tiny, "-o", "out.onnx", "--force", "--json")
    artifact = outcome.json["artifact"]
    assert (workplace / "out.onnx").stat().st_size == artifact["size_bytes"]
    assert json.loads((workplace / "out.onnx.json").read_text()) == artifact
    assert listing() == ["out.onnx", "out.onnx.json"]


def test_an_existing_file_where_the_artifact_object_goes_is_refused(run, tiny, workplace):
    (workplace / "out.onnx.json").write_bytes(b"precious")
    outcome = run("onnx", *tiny, "-o", "out.onnx")
    assert outcome.code == 2
    assert "out.onnx.json" in outcome.error
    assert (workplace / "out.onnx.json").read_bytes() == b"precious"


def test_a_folder_where_the_artifact_object_goes(run, tiny, workplace, listing):
    (workplace / "out.onnx.json").mkdir()
    outcome = run("onnx", *tiny, "-o", "out.onnx", "--force")
    assert outcome.code == 2
    assert "out.onnx.json" in outcome.error
    assert listing() == ["out.onnx.json"]


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
def test_a_directory_as_the_output(run, command, name, workplace, listing, force):
    (workplace / name).mkdir()
    outcome = run(*command, name, *force)
    assert outcome.code == 2
    assert f"{name} is a directory" in outcome.error
    assert listing() == [name]


@pytest.mark.parametrize("place", [".", "..", "/", "old", "../up"])
@pytest.mark.parametrize(
    "writes",
    [
        "onnx",
        "tflite",
        "calibrate",
        "train --data none",
        "prune --calibration-data none --speedup 2",
    ],
)
def test_a_place_without_the_name_of_a_file(run, writes, place, workplace, monkeypatch):
    (workplace / "old" / "in").mkdir(parents=True)
    (workplace / "old" / "up").mkdir()
    monkeypatch.chdir(workplace / "old" / "in" if place == "../up" else workplace)
    outcome = run(*writes.split(), "-o", place)
    assert outcome.code == 2
    assert f"output {place} is a directory: name a file" in outcome.error
    example = str(Path(place, "vgg_d."))
    assert writes == "calibrate" or f"such as {example}" in outcome.error


@pytest.mark.parametrize("place", [".", "..", "/"])
def test_a_place_without_the_name_of_a_directory(run, tiny, place):
    outcome = run("savedmodel", *tiny, "-o", place)
    assert outcome.code == 2
    assert f"output {place} has no name of its own: name a directory" in outcome.error


def test_an_output_folder_that_is_missing(run, command, name, listing):
    outcome = run(*command, f"none/{name}")
    assert outcome.code == 2
    assert "cannot write to none" in outcome.error
    assert listing() == []


def test_an_output_below_a_file(run, command, name, workplace, listing):
    (workplace / "file").write_bytes(b"")
    outcome = run(*command, f"file/{name}")
    assert outcome.code == 2
    assert "cannot write to file" in outcome.error
    assert listing() == ["file"]


def test_an_output_folder_where_nothing_can_be_made(run, command, name):
    """Nobody can make files there, root included."""
    outcome = run(*command, f"/proc/{name}")
    assert outcome.code == 2
    assert "cannot write to /proc" in outcome.error


def test_the_output_is_tried_before_the_work_begins(run):
    outcome = run("onnx", "--weights", "none.npz", "-o", "none/out.onnx")
    assert "cannot write to none" in outcome.error


ONNX_IS_WRITTEN = "a file that ends in .onnx is written, name"


@pytest.mark.parametrize(
    ("arguments", "output", "said"),
    [
        (("onnx",), "mine.tflite", f"{ONNX_IS_WRITTEN} mine.onnx"),
        (("onnx", "--quantize"), "to/mine", f"{ONNX_IS_WRITTEN} to/mine.onnx"),
        (("onnx",), "mine.v1", f"{ONNX_IS_WRITTEN} mine.v1.onnx"),
        (("tflite",), "mine.onnx", "a file that ends in .tflite is written, name mine.tflite"),
        (("savedmodel",), "mine.onnx", "a folder is written, name mine"),
        (("export",), "mine.tflite", "a folder is written, name mine"),
    ],
)
def test_a_name_that_says_something_else_is_refused(run, listing, arguments, output, said):
    outcome = run(*arguments, "-o", output)
    assert (outcome.code, outcome.error) == (2, f"Error: output {output}: {said}")
    assert listing() == []
