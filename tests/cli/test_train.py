"""``vggexport train``: its JSON, its errors, and a process that is killed and resumed."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from vggexport.cli.group import main
from vggexport.network.training_recipe import PAPER, Recipe
from vggexport.training.training_data import CONVOLUTIONS
from vggexport.workflows.train.options import DEFAULT_SPLIT

QUICK = (
    *("--freeze", "none", "--initializer", "he", "--learning-rate", "1e-4"),
    *("--dropout", "0", "--seed", "1", "--batch", "8", "--epochs", "4"),
)


@pytest.fixture
def data(workplace):
    """Five classes of four images, which their colours tell apart."""
    random = np.random.default_rng(0)
    colours = [(240, 15, 15), (15, 240, 15), (15, 15, 240), (240, 240, 240), (15, 15, 15)]
    for name, colour in zip("abcde", colours, strict=True):
        (workplace / "data" / name).mkdir(parents=True)
        for number in range(4):
            pixels = (colour + random.integers(-15, 16, (20, 20, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(workplace / "data" / name / f"{number}.png")
    return ("--data", "data")


def test_the_json_and_what_is_written(run, tiny, data, listing):
    outcome = run("train", *data, *tiny, *QUICK, "-o", "w.safetensors", "--json")
    assert outcome.code == 0, outcome.stderr
    document = outcome.json
    assert document["schema"] == 1
    assert document["labels"] == list("abcde")
    assert document["weights"]["path"] == "w.safetensors"
    assert [epoch["number"] for epoch in document["epochs"]] == [1, 2, 3, 4]
    assert document["recipe"]["learning_rate"] == 1e-4
    assert document["recipe"]["momentum"] == 0.9
    written = [name for name in listing() if name.startswith("w.")]
    assert written == ["w.safetensors", "w.validation.csv"]
    assert "epoch 4 of 4: loss" in outcome.stderr
    text = run("evaluate", "w.safetensors", *data, "--csv", "w.validation.csv")
    assert (text.code, "5 of w.validation.csv" in text.stdout) == (0, True), text.stderr


def test_weights_remember_how_pictures_became_pixels(run, tiny, data):
    stretched = ("--resize", "stretch", "-o", "w.safetensors")
    assert run("train", *data, *tiny, *QUICK, *stretched).code == 0
    made = ("onnx", "--weights", "w.safetensors", "--config", "A", "--no-check", "-o", "a.onnx")
    recorded = run(*made, "--json").json["artifact"]["pictures"]
    assert (recorded["resize"], recorded["known"]) == ("stretch", True)
    refused = run(*made, "--force", "--resize", "crop")
    assert refused.code == 2
    assert "w.safetensors records pictures with resize stretch" in refused.error
    text = run("evaluate", "w.safetensors", *data).stdout
    assert "stretched to 16x16, bilinear" in " ".join(text.split())
    padded = ("--weights", "w.safetensors", "--resize", "pad", "-o", "v.safetensors")
    again = run("train", *data, *tiny, *QUICK, *padded)
    assert "was trained on other pictures: stretched to 16x16" in again.stderr


def test_the_recipe_is_shown(run):
    outcome = run("summary", "--training")
    assert "0.01, divided by 10 when validation accuracy has not risen" in outcome.stdout
    assert run("summary", "--training", "--json").json["training"] == PAPER.to_json()
    assert "training" not in run("summary", "--json").json


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--data", "none"], 2, "'none' is not a folder"),
        (["--data", "data", "--batch", "0"], 2, "batch is 0, expected 1 or more"),
        (["--data", "data", "--freeze", "block9"], 2, "--freeze takes conv, none, block1"),
        (["--data", "data"], 2, "is random and would be frozen"),
        (
            ["--data", "data", "--classes", "7"],
            2,
            "7 classes were asked for, and 'data' has 5: leave out --classes",
        ),
        (["--data", "data", "--resume", "--freeze", "none"], 2, "no checkpoint to resume"),
        (["--data", "data", "-o", "w.npz"], 2, "weights are written as .safetensors"),
        (["--data", "data", "--freeze", "none", "--learning-rate", "1e30"], 4, "diverged"),
    ],
)
@pytest.mark.usefixtures("data")
def test_bad_input(run, tiny, arguments, code, said):
    sizes = [*tiny[:-2], "--batch", "8"]  # but for the number of classes
    outcome = run("train", *sizes, *arguments)
    assert (outcome.code, said in outcome.error) == (code, True), outcome.stderr


@pytest.mark.usefixtures("data")
def test_another_head_than_the_files_is_told_the_way(run, tiny_arrays):
    np.savez("w.npz", **tiny_arrays)
    asked = ("--config", "A", "--weights", "w.npz", "--fc-units", "32")
    outcome = run("train", "--data", "data", *asked, "--reinit", "fc1,fc2,predictions")
    assert outcome.code == 2
    assert outcome.error.endswith(
        "its shapes say 16: leave out --fc-units, or train another head with --init-missing on "
        "weights saved without one (include_top=False), in place of --reinit"
    )
    assert run("onnx", *asked).error.endswith(": leave out --fc-units")  # it trains no head
    headless = {name: array for name, array in tiny_arrays.items() if "conv" in name}
    np.savez("w.npz", **headless)
    way = ("--init-missing", "--input-size", "16", *QUICK, "-o", "new.safetensors", "--json")
    made = run("train", "--data", "data", *asked, *way)
    assert made.json["weights"]["spec"]["fc_units"] == 32, made.stderr


@pytest.mark.parametrize("count", [0, 1])
def test_classes_that_are_too_small(run, tiny, data, workplace, count):
    for number in range(count, 4):
        (workplace / "data" / "c" / f"{number}.png").unlink()
    outcome = run("train", *data, *tiny, *QUICK)
    said = "class 'c' has 1 image" if count else "classes without an image: 'c'"
    assert (outcome.code, said in outcome.error) == (2, True), outcome.stderr


KILLED = """
import os, signal, sys
from vggexport.network import spec
from vggexport.training.checkpoint import Checkpoint
spec.TABLE_1["A"] = "conv3-4 conv1-6 | conv3-8"
save = Checkpoint.save
def save_and_be_killed(*arguments):
    save(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
Checkpoint.save = save_and_be_killed
from vggexport.cli import main
main(sys.argv[1:])
"""


def test_a_process_that_is_killed_is_resumed_to_the_same_weights(run, tiny, data, workplace):
    options = ("train", *data, *tiny, *QUICK[:-1], "5", "-o", "w.safetensors")
    killed = [sys.executable, "-c", KILLED, *options]
    process = subprocess.run(killed, cwd=workplace, stderr=subprocess.DEVNULL, check=False)
    assert process.returncode == -signal.SIGKILL
    assert Path("w.safetensors.checkpoint/state.safetensors").exists()
    assert not Path("w.safetensors").exists()
    resumed = run(*options, "--resume", "--json")
    assert resumed.code == 0, resumed.stderr
    assert "epoch 1 of 5" not in resumed.stderr
    assert "epoch 2 of 5" in resumed.stderr
    assert run(*options[:-1], "whole.safetensors").code == 0
    expected = safetensors.numpy.load_file("whole.safetensors")
    for name, array in safetensors.numpy.load_file("w.safetensors").items():
        np.testing.assert_allclose(array, expected[name], atol=1e-6)  # the figure
    json.dumps(resumed.json, allow_nan=False)


def test_the_options_are_those_of_the_recipe():
    options = {p.name: p for p in main.get_command(None, "train").params}
    for name, value in Recipe().to_json().items():
        assert options[name].default == value, name
    assert options["freeze"].default == CONVOLUTIONS
    assert options["split"].default == f"{DEFAULT_SPLIT:.0%}"
