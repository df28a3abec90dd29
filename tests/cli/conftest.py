"""The command line in this process, so that TensorFlow is imported once; images; small networks."""

import contextlib
import io
import json
import os
import re
import shlex
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image

from vggexport.cli import main
from vggexport.network import spec
from vggexport.network.spec import VGGSpec

SMALLEST = ("--config", "A", "--input-size", "32", "--fc-units", "16", "--classes", "5")
"""The smallest network that table 1 allows: 9 million parameters, all in the convolutions."""

TINY = ("--config", "A", "--input-size", "16", "--fc-units", "16", "--classes", "5")
"""With the fixture ``tiny``: some thousand parameters."""

TINY_BLOCKS = "conv3-4 conv1-6 | conv3-8"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of the command line ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout: anything beside it is an error."""
        return json.loads(self.stdout)

    @property
    def error(self) -> str:
        """The one error line, which is the last on stderr; there is no traceback."""
        lines = self.stderr.splitlines()
        errors = [line for line in lines if line.startswith("Error:")]
        assert errors == lines[-1:]
        assert "Traceback" not in self.stderr
        return errors[0]


@pytest.fixture(autouse=True, scope="session")
def clean_environment() -> Iterator[None]:
    """No variable of the machine that the command line or its output depends on.

    pytest's own process may load readline, which gives its children COLUMNS.
    """
    settings = {"CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS"}
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("VGGEXPORT_") or name in settings:
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch) -> Path:
    """Every test works in a folder of its own: configuration is read, outputs go there."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def invoke(*arguments: object, main: click.Group = main) -> Outcome:
    stdout, stderr = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with (
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
            pytest.raises(SystemExit) as leaving,
        ):
            main([str(argument) for argument in arguments])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert type(leaving.value.code) is int
    return Outcome(leaving.value.code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture(scope="session")
def run(closed_schema) -> Callable[..., Outcome]:
    """``run("onnx", "--json")`` in this process, the signal handler put back afterwards.

    Every JSON document is held to its schema, whatever a test is about.
    """

    def checked(*arguments: object, **other: click.Group) -> Outcome:
        outcome = invoke(*arguments, **other)
        if "--json" in arguments and outcome.stdout:
            closed_schema(arguments[0]).validate(json.loads(outcome.stdout))
        return outcome

    return checked


@pytest.fixture
def next_commands(monkeypatch) -> Callable[[str], list[str]]:
    """(stdout) -> the commands that a report says to run next; no line of it is broken."""
    monkeypatch.setenv("COLUMNS", "1000")

    def found(stdout: str) -> list[str]:
        part = re.search(r"^next(  .*\n(?: {6}.*\n)*)", stdout, re.MULTILINE)
        return [line.strip() for line in part[1].splitlines()] if part else []

    return found


@pytest.fixture(scope="session")
def parse() -> Callable[[str], None]:
    """Has Click take a command of ours apart: every option is there, every value is possible."""

    def taken(line: str) -> None:
        program, name, *arguments = shlex.split(line.replace("$", ""))
        assert program == "vggexport"
        # As the main group's own: a command keeps the names of its help option from the first.
        with click.Context(main, info_name=program, **main.context_settings) as parent:
            command = main.get_command(parent, name)
            assert command is not None, name
            command.make_context(name, arguments, parent).close()

    return taken


@pytest.fixture(scope="session")
def smallest() -> tuple[str, ...]:
    return SMALLEST


@contextlib.contextmanager
def _tiny_table() -> Iterator[tuple[str, ...]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(spec.TABLE_1, "A", TINY_BLOCKS)
        yield TINY


@pytest.fixture(scope="session")
def tiny_table() -> Callable[[], contextlib.AbstractContextManager[tuple[str, ...]]]:
    """Puts a network of some thousand parameters in the place of configuration A; its options."""
    return _tiny_table


@pytest.fixture
def tiny(tiny_table) -> Iterator[tuple[str, ...]]:
    """The same for one test."""
    with tiny_table() as options:
        yield options


@pytest.fixture
def tiny_arrays(tiny) -> dict[str, np.ndarray]:
    """Weights for it."""
    random = np.random.default_rng(0)
    network = VGGSpec.named("A", classes=5, fc_units=(16, 16), input_size=(16, 16))
    return {
        name: (random.standard_normal(tensor.shape) / 10).astype(np.float32)
        for name, tensor in network.tensors.items()
    }


@dataclass(frozen=True, slots=True)
class Build:
    """One build of the smallest network: where it went, and how the command ended."""

    output: Path
    outcome: Outcome


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> dict[str, Build]:
    """float32, float16 and int8 of the smallest network, each built once with ``--json``."""
    folder = tmp_path_factory.mktemp("built")
    builds = {}
    for precision in ("float32", "float16", "int8"):
        output = folder / f"vgg_{precision}.onnx"
        with contextlib.chdir(folder):
            outcome = invoke(
                *("onnx", *SMALLEST, "--precision", precision, "-o", output, "--json"),
                *("--calibration-samples", 8),
            )
        builds[precision] = Build(output, outcome)
    return builds


@pytest.fixture(scope="session")
def make_images() -> Callable[..., Path]:
    """Fills a folder with PNG images of noise, all different, some of them a level deeper."""

    def make(folder: Path, count: int, *, side: int = 20) -> Path:
        (folder / "deeper").mkdir(parents=True)
        random = np.random.default_rng(1)
        for number in range(count):
            place = folder / "deeper" if number % 2 else folder
            pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"image{number:02}.png")
        return folder

    return make


@pytest.fixture(scope="session")
def make_labelled() -> Callable[..., None]:
    """Makes five folders of so many PNG images of noise each, all different."""

    def make(folder: Path, count: int) -> None:
        random = np.random.default_rng(0)
        for name in "abcde":
            (folder / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (20, 20, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / name / f"{number}.png")

    return make


@pytest.fixture
def listing(workplace) -> Callable[[], list[str]]:
    """Everything in the working folder, hidden names included."""
    return lambda: sorted(p.relative_to(workplace).as_posix() for p in workplace.rglob("*"))
