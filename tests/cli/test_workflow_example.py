"""The GitHub Actions workflow of docs/ci.md: its commands, run on a tiny network."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from vggexport.cli.group import COMMANDS

CI = Path(__file__).parents[2] / "docs/ci.md"
NAMES = ("ant", "bee", "cat", "dog", "eel")

pytestmark = pytest.mark.usefixtures("any_int8_will_do")


def commands() -> list[str]:
    """The lines of the workflow that call us, joined where they are continued."""
    (workflow,) = re.findall(r"```yaml\n(name: model\n.*?)```", CI.read_text("utf-8"), re.DOTALL)
    joined = re.sub(r"\\\n\s+", "", workflow)
    return [line.strip() for line in joined.splitlines() if line.strip().startswith("vggexport ")]


@pytest.fixture
def project(tiny, tiny_arrays, workplace, make_images, monkeypatch):
    """What a repository with such a workflow holds, and configuration A in the place of D."""
    save_file(tiny_arrays, workplace / "weights.safetensors")
    (workplace / "labels.txt").write_text("".join(f"{name}\n" for name in NAMES))
    (workplace / "vggexport.toml").write_text(
        "[export]\nconfig = 'A'\ninput_size = 16\ncalibration_samples = 4\n"
        "[benchmark]\nruns = 2\nduration = 0.1\nwarmup = 0\nlaunches = 1\n"
    )
    make_images(workplace / "photos", 4)
    make_images(workplace / "photos_unseen", 6)
    for index, name in enumerate(NAMES):
        (workplace / "labelled" / name).mkdir(parents=True)
        for number in range(2):
            pixels = np.full((20, 20, 3), 40 * index + number, np.uint8)
            Image.fromarray(pixels).save(workplace / "labelled" / name / f"{number}.png")
    for arguments in (
        ("genpkey", "-algorithm", "ed25519", "-out", "key.pem"),
        ("pkey", "-in", "key.pem", "-pubout", "-out", "key.pub.pem"),
    ):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")


def make_baseline(run, workplace):
    """The former release: here the files that were just exported."""
    (workplace / "baseline").mkdir()
    int8 = workplace / "release/vgg_a_int8.onnx"
    (workplace / "baseline/vgg_a_int8.onnx").write_bytes(int8.read_bytes())
    outcome = run("bundle", int8, "-o", "baseline/release.zip", "--images", 1)
    assert outcome.code == 0, outcome.stderr


def forgive(name, workplace):
    """A tiny network's accuracy and latency say nothing: their reports go on as passed."""
    path = workplace / f"{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"passed": True, "gate": None}))


def stand_in(command, workplace):
    """A report of a command that this version does not have."""
    results = [{"path": "vgg_a_int8.onnx", "top1": 0.5, "images": 10}]
    report = {"schema": 1, "results": results, "passed": True}
    (workplace / f"{command}.json").write_text(json.dumps(report))


@pytest.mark.usefixtures("project")
def test_the_commands_of_the_workflow_run(run, workplace):
    ran = []
    for written in commands():
        line, _, into = written.replace("vgg_d", "vgg_a").partition(" > ")
        _, command, *arguments = shlex.split(line.replace("$GITHUB_STEP_SUMMARY", "summary.md"))
        ran.append(command)
        if command not in COMMANDS:
            stand_in(command, workplace)
            continue
        outcome = run(command, *arguments)
        gates = command in {"evaluate", "benchmark"}
        assert outcome.code in ({0, 1} if gates else {0}), (line, outcome.stderr)
        if into:
            (workplace / into).write_text(outcome.stdout)
        if gates:
            forgive(command, workplace)
        if command == "export":
            make_baseline(run, workplace)
    assert ran == [
        *("export", "verify", "evaluate", "benchmark", "bundle", "check-bundle", "diff"),
    ]
    assert (workplace / "summary.md").exists()
    assert "vggexport diff" in (workplace / "diff.md").read_text()


def test_a_renamed_option_would_be_noticed(run):
    line = next(line for line in commands() if line.startswith("vggexport bundle"))
    outcome = run(*shlex.split(line.replace("--max-size", "--maximum-size"))[1:])
    assert outcome.code == 2
    assert "--maximum-size" in outcome.error
