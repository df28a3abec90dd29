"""The commands of README and docs, run page by page on a tiny network."""

import json
import os
import re
import shlex
import shutil
import subprocess
from functools import partial
from itertools import chain
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from keras import layers
from PIL import Image
from safetensors.numpy import save_file

from vggexport.metrics import timing
from vggexport.network import spec
from vggexport.network.spec import VGGSpec
from vggexport.results.benchmark import Ceiling
from vggexport.workflows.benchmark import further
from vggexport.workflows.benchmark import run as benchmark_run
from vggexport.workflows.benchmark.measured_model import MeasuredModel

ROOT = Path(__file__).parents[2]
CI = ROOT / "docs/ci.md"
PAGES = [p for p in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if p != CI]
COLOURS = {
    "ant": (240, 15, 15),
    "bee": (15, 240, 15),
    "cat": (15, 15, 240),
    "dog": (240, 240, 240),
    "eel": (15, 15, 15),
}
SIDE = 16

TINY = "conv3-4 conv1-6 | conv3-8"
"""Stands in for configuration D, whose files are the pages' ``vgg_d``."""

SETTINGS = f"""
input_size = {SIDE}
force = true  # a page may write again what another wrote
calibration_samples = 4
[benchmark]
runs = 2
duration = 0
warmup = 0
launches = 1
[prune]
calibration_samples = 40
[train]
fc_units = "16"
freeze = "none"
initializer = "he"
learning_rate = 1e-3
dropout = 0
batch = 8
epochs = 6
"""
"""What is set beside the options on the pages, so that small networks do, and seconds."""

GATES = frozenset({"benchmark", "evaluate"})
"""Commands that may exit 1: accuracy and latency of a tiny random network say nothing."""


def commands(text: str, *beginnings: str) -> list[str]:
    """Lines of code blocks that call us, joined where they are continued, without comments.

    Args:
        text: Of a page.
        beginnings: What lines begin with that call others.
    """
    blocks = re.findall(r"^```(?:yaml)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    joined = chain.from_iterable(re.sub(r"\\\n\s*", "", one).splitlines() for one in blocks)
    lines = (re.sub(r"^\s*(?:- run: )?", "", line).partition("  #")[0] for line in joined)
    return [line.rstrip() for line in lines if line.startswith(beginnings or "vggexport ")]


NOT_RUN = {
    "make ": "installs packages from the network, and a test may not run all tests",
    "python -m benchmarks.": "takes minutes at full size; tests of its own run the small parts",
    "python pack/run.py": "is for a machine with a GPU",
    "eval ": "is for a shell that somebody types into",
    "_VGGEXPORT_COMPLETE=": "the same in fish",
}
"""Other lines of the pages by what they begin with, and why they are only looked at."""


ONLY_PARSED = {"QNNExecutionProvider": "its emulator takes a minute an image"}
"""Our own lines that are not run, by what is in them, and why."""


def owners_network():
    """A VGG as somebody fine-tuned it in Keras."""
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            *(layers.Conv2D(width, 3, padding="same", activation="relu") for width in (4, 6)),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(16, "relu"),
            layers.Dense(len(COLOURS), "softmax"),
        ]
    )


def make_pictures(folder, count, colour=(128, 128, 128), spread=127):
    """Coarse pictures about a colour, which tells classes apart."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(len(folder.parts) + count)
    for number in range(count):
        coarse = colour + random.integers(-spread, spread, (5, 5, 3))
        Image.fromarray(coarse.astype(np.uint8)).resize((20, 20)).save(folder / f"{number}.png")


class InThisProcess:
    """Stands in for the process of its own that a benchmark gives each file."""

    def __init__(self, _place, entry, **_options):
        self._model = MeasuredModel(entry)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def wait_until_made(self):
        pass

    def call(self, method, *arguments):
        return getattr(self._model, method)(*arguments)


@pytest.fixture
def quick_benchmark(monkeypatch):
    """Neither processes nor ceilings of the machine, which other tests look at."""
    monkeypatch.setattr(further, "ChildProcess", InThisProcess)
    monkeypatch.setattr("gc.disable", lambda: None)
    monkeypatch.setattr(timing, "SETTLE_S", 0)
    monkeypatch.setattr(
        benchmark_run, "measure_peak_throughput", lambda *where: Ceiling(*where, {}, None)
    )


@pytest.fixture
def sources(workplace, monkeypatch):
    """What people have before the first command: weights, labels, pictures, a key."""
    monkeypatch.setitem(spec.TABLE_1, "D", TINY)
    random = np.random.default_rng(0)
    network = VGGSpec.named("D", classes=5, fc_units=(16, 16), input_size=(SIDE, SIDE))
    arrays = {
        name: (random.standard_normal(tensor.shape) / 10).astype(np.float32)
        for name, tensor in network.tensors.items()
    }
    for name in ("weights", "vgg16", "flowers"):
        save_file(arrays, f"{name}.safetensors")
    np.savez("vgg16_conv.npz", **{name: arrays[name] for name in arrays if "conv" in name})
    model = owners_network()
    model.save("flowers.keras")
    images = random.integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
    answers = model(images / np.float32(255)).numpy()
    np.savez("answers.npz", images=images, probabilities=answers)
    Path("labels.txt").write_text("".join(f"{name}\n" for name in COLOURS))
    for name, count in {"photos": 50, "photos_unseen": 4, "others": 4}.items():
        make_pictures(workplace / name, count)
    for name, colour in COLOURS.items():
        make_pictures(workplace / "labelled" / name, 2)
        make_pictures(workplace / "flowers" / name, 4, colour, 15)
    for arguments in (
        ("genpkey", "-algorithm", "ed25519", "-out", "key.pem"),
        ("pkey", "-in", "key.pem", "-pubout", "-out", "key.pub.pem"),
    ):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    Path("vggexport.toml").write_text(SETTINGS)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")


@pytest.fixture
def run_line(run, parse, next_commands):
    """(line) -> None: see :func:`_run_line`."""
    return partial(_run_line, run, parse, next_commands)


def _run_line(run, parse, next_commands, written):
    """Runs a line of a page, and looks at what its report says to run next.

    Raises:
        AssertionError: It did not do what it is there for.
    """
    line, _, into = os.path.expandvars(written).partition(" > ")
    _, command, *arguments = shlex.split(line)
    if any(part in line for part in ONLY_PARSED):
        parse(line)
        return
    outcome = run(command, *arguments)
    is_gate = command in GATES or "--unlabelled" in arguments  # a random teacher guesses, too
    assert outcome.code in ({0, 1} if is_gate else {0}), (line, outcome.stderr)
    for following in next_commands(outcome.stdout):
        parse(following)
    if into:
        forgiven = {"passed": True, "gate": None} if command in GATES else {}
        Path(into).write_text(json.dumps(outcome.json | forgiven))


@pytest.fixture
def release(sources, run_line):
    """What the workflow of ci.md leaves behind, where the other pages look for it; its commands."""
    lines = commands(CI.read_text("utf-8"))
    run_line(lines[0])
    for folder in ("last", "baseline"):
        Path(folder).mkdir()
        shutil.copy("release/vgg_d_int8.onnx", folder)
    run_line("vggexport bundle release/vgg_d_int8.onnx -o baseline/release.zip --images 1")
    for line in lines[1:]:
        run_line(line)
    for path in Path("release").glob("vgg_d*.[ot]*"):
        shutil.copy(path, ".")
    model = onnx.load("vgg_d.onnx")
    del model.metadata_props[:]
    onnx.save(model, "old.onnx")  # of another converter, as it says nothing of itself
    return lines


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.usefixtures("any_int8_will_do", "quick_benchmark", "latencies_by_operations")
def test_the_commands_of_every_page_run(release, run_line, workplace, monkeypatch):
    assert [shlex.split(line)[1] for line in release] == [
        *("export", "verify", "evaluate", "benchmark", "bundle", "check-bundle", "diff"),
    ]
    ran = 0
    for page in PAGES:
        place = workplace.with_name(page.stem)
        shutil.copytree(workplace, place)
        monkeypatch.chdir(place)
        for line in commands(page.read_text("utf-8")):
            run_line(line)
            ran += 1
    assert ran > 25


@pytest.mark.usefixtures("any_int8_will_do")
def test_the_demo_shows_what_the_readme_says(run_line, run, workplace, monkeypatch):
    monkeypatch.setitem(spec.TABLE_1, "D", TINY)
    (workplace / "vggexport.toml").write_text(f"input_size = {SIDE}\nfc_units = 16\n")
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.M)[1]
    first, last = (line.replace("$(BIN)/", "").strip() for line in recipe.splitlines())
    run_line(first)
    shown = run(*shlex.split(last)[1:]).stdout
    readme = (ROOT / "README.md").read_text("utf-8")
    assert re.search(r"the last one shows\n\n```\n(.*?)```", readme, re.DOTALL)[1] in shown


def test_a_renamed_option_would_be_noticed(run_line):
    with pytest.raises(AssertionError, match="--maximum-size"):
        run_line("vggexport bundle a.onnx --maximum-size 3MB -o a.zip")


@pytest.mark.parametrize("beginning", NOT_RUN)
def test_what_is_not_run_is_there(beginning):
    """Makefile targets, modules; and nothing is excused that no page shows."""
    lines = [line for page in PAGES for line in commands(page.read_text("utf-8"), beginning)]
    assert lines
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for line in lines:
        name, *_ = line.removeprefix(beginning).split() or [""]
        if beginning == "make ":
            assert f"\n{name}:" in makefile, line
        if beginning == "python -m benchmarks.":
            assert (ROOT / f"benchmarks/{name}.py").is_file(), line
