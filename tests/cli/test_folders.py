"""Folders as people have them: every command says what it found in one, and what it left out."""

import shutil
from pathlib import Path

import pytest

SAID = "36 files: 30 pictures, 6 skipped (5 .heic, 1 .txt), ignored as junk: 1 .DS_Store"
COUNTED = {
    "files": 36,
    "pictures": 30,
    "skipped": {".heic": 5, ".txt": 1},
    "junk": {".DS_Store": 1},
}


@pytest.fixture
def littered(labelled):
    """Five classes of six images, and what else is found in such folders."""
    for folder in labelled.iterdir():
        (folder / "phone.heic").write_bytes(b"\0\0\0\x1cftypheic")
    (labelled / "ant" / "notes.txt").write_text("none")
    (labelled / ".DS_Store").write_bytes(b"")
    return labelled


def test_every_command_says_what_is_in_a_folder(run, tiny, littered):
    calibration = ("--calibration-data", littered, "--calibration-samples", 4, "--no-check")
    first = run("onnx", *tiny, "--quantize", *calibration, "-o", "a.onnx", "--json")
    training = (*tiny, "--weights", "random:0", "--freeze", "none", "--epochs", 1, "--batch", 32)
    outcomes = [
        first,
        run("export", *tiny, *calibration, "--formats", "onnx", "-o", "all", "--json"),
        run("calibrate", *tiny, *calibration[:-1], "-o", "ranges.json", "--json"),
        run("verify", "a.onnx", "all/vgg_a_int8.onnx", "--data", littered, "--json"),
        run("evaluate", "a.onnx", "--data", littered, "--json"),
        run(
            *("bundle", "a.onnx", "--data", littered, "--golden-licence", "CC0 1.0", "-o", "b"),
            *("--allow-untrained", "--json"),
        ),
        run("train", *training, "--data", littered, "-o", "w.safetensors", "--json"),
    ]
    for outcome in outcomes:
        assert outcome.stdout, outcome.stderr
        assert outcome.json["image_files"] == COUNTED
        assert outcome.stderr.count(f"labelled: {SAID}: pip install 'vggexport[heic]' to") == 1


def test_images_that_come_from_no_folder_have_no_files(run, tiny):
    document = run("onnx", *tiny, "-o", "a.onnx", "--json").json
    assert document["image_files"] is None


@pytest.mark.parametrize(
    ("command", "splits", "advice"),
    [
        ("train", ("train", "val"), "--data split/train --validation-data split/val"),
        ("train", ("train_set",), "--data split/train_set"),
        ("evaluate", ("train", "val"), "--data split/val"),
    ],
)
def test_a_folder_of_splits_is_exit_2_with_what_was_meant(
    run, tiny, labelled, command, splits, advice
):
    for name in splits:
        shutil.copytree(labelled, Path("split") / name)
    if command == "evaluate":
        run("onnx", *tiny, "--no-check", "-o", "a.onnx")
    arguments = ["a.onnx"] if command == "evaluate" else tiny
    outcome = run(command, *arguments, "--data", "split")
    assert outcome.code == 2
    said = f"'split' has splits where classes were expected: {', '.join(splits)}: did you mean "
    assert outcome.error == f"Error: {said}{advice}"


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_folder_around_the_folder_of_classes_is_exit_2_with_what_was_meant(
    run, tiny, labelled, command
):
    shutil.move(labelled, Path("outer") / "inner")
    if command == "evaluate":
        run("onnx", *tiny, "--no-check", "-o", "a.onnx")
    arguments = ["a.onnx"] if command == "evaluate" else tiny
    outcome = run(command, *arguments, "--data", "outer")
    assert outcome.code == 2
    assert f"did you mean --data {Path('outer/inner').absolute()}" in outcome.error
