"""Work that cannot be finished, or not here: the exit code, one line, and what is left behind."""

import errno
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import keras
import pytest

from vggexport.formats.registry import load_exporter
from vggexport.network import spec

DEADLINE_S = 120
"""Longest wait for a process that should end by itself in seconds."""


def start(folder, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "vggexport", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | environment,
    )


def finish(process):
    stdout, stderr = process.communicate(timeout=DEADLINE_S)
    return process.returncode, stdout, stderr


def wait_for_line(process, beginning):
    """Reads stderr until a line begins so."""
    for line in process.stderr:
        if line.startswith(beginning):
            return
    pytest.fail(f"no line began with {beginning!r}")


class Fork:
    """The command line in a process of its own, as :func:`start`'s.

    It is forked from one that has imported TensorFlow, which takes five seconds.

    Args:
        server: That process.
        folder: Where the command line works.
        arguments: Its.
        before: What is done there first.
    """

    SCRIPT = """
import os
from vggexport.cli import main
from vggexport.network import spec

os.chdir(folder)
for number, pipe in enumerate(pipes, start=1):
    os.dup2(pipe.fileno(), number)
    pipe.close()
spec.TABLE_1.update(table)
"""

    def __init__(self, server, folder, *arguments, before=""):
        pipes = [server.Pipe(duplex=False) for _ in ("stdout", "stderr")]
        names = {"folder": folder, "pipes": [w for _, w in pipes], "table": dict(spec.TABLE_1)}
        script = f"{self.SCRIPT}{before}\nmain({[*map(str, arguments)]!r})"
        self._process = server.Process(target=exec, args=(script, names), daemon=True)
        self._process.start()
        for _, writer in pipes:
            writer.close()
        self.stdout, self.stderr = (os.fdopen(os.dup(reader.fileno())) for reader, _ in pipes)

    def send_signal(self, number):
        os.kill(self._process.pid, number)

    def kill(self):
        self._process.kill()

    def communicate(self, timeout):
        with self.stdout, self.stderr:
            said = self.stdout.read(), self.stderr.read()
        self._process.join(timeout)
        return said

    @property
    def returncode(self):
        return self._process.exitcode


@pytest.fixture(scope="module")
def server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["vggexport.formats.onnx.exporter", "vggexport.formats.onnx.runner", "calibration"]
    )
    return context


# A process that is told to stop.


@pytest.fixture
def old(workplace):
    (workplace / "out.onnx").write_bytes(b"old")
    (workplace / "out.onnx.json").write_bytes(b"old too")


def assert_old_output(workplace):
    assert (workplace / "out.onnx").read_bytes() == b"old"
    assert (workplace / "out.onnx.json").read_bytes() == b"old too"


MANY = ("--quantize", "--calibration-samples", 100_000)
"""Synthetic images of 16x16 pixels for some ten seconds."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("beginning", ["weights:", "float32:"])
def test_a_signal(server, workplace, tiny, smallest, old, listing, number, beginning):
    options = (*MANY, "-o", "out.onnx", "--force", "--json")
    if beginning == "weights:":  # TensorFlow is being imported
        process = start(workplace, "onnx", *smallest, *options)
    else:  # calibration is under way
        process = Fork(server, workplace, "onnx", *tiny, *options)
    wait_for_line(process, beginning)
    process.send_signal(number)
    code, stdout, stderr = finish(process)
    assert code == 4
    assert stdout == ""
    assert "Traceback" not in stderr
    assert [line for line in stderr.splitlines() if line.startswith("Error:")] == [
        "Error: interrupted: nothing was written under the output's name"
    ]
    assert_old_output(workplace)
    assert listing() == ["out.onnx", "out.onnx.json"]


def test_a_closed_terminal_is_an_interruption(server, workplace, tiny, listing):
    before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"
    process = Fork(server, workplace, "onnx", *tiny, "-o", "out.onnx", before=before)
    wait_for_line(process, "weights:")
    process.send_signal(signal.SIGHUP)
    assert finish(process)[0] == 4
    assert listing() == []


def test_an_interruption_is_one_line_and_no_empty_one(run, tiny, monkeypatch):
    monkeypatch.setattr(
        "vggexport.workflows.build.inputs.open_network", raising(KeyboardInterrupt())
    )
    assert run("onnx", *tiny).stderr.startswith("Error: interrupted")


def test_a_killed_process_leaves_the_old_output(server, workplace, tiny, old):
    process = Fork(server, workplace, "onnx", *tiny, *MANY, "-o", "out.onnx", "--force")
    wait_for_line(process, "float32:")
    process.kill()
    assert finish(process)[0] == -signal.SIGKILL
    assert_old_output(workplace)


def test_a_killed_process_leaves_no_output(server, workplace, tiny):
    process = Fork(server, workplace, "onnx", *tiny, *MANY, "-o", "out.onnx")
    wait_for_line(process, "float32:")
    process.kill()
    assert finish(process)[0] == -signal.SIGKILL
    assert [name for name in os.listdir(workplace) if not name.startswith(".")] == []


# In this process: something breaks in the middle.


def raising(error):
    def fail(*_arguments, **_options):
        raise error

    return fail


BUILDING = "vggexport.workflows.build.run"
STEPS = {
    "weights": "vggexport.workflows.build.inputs.open_network",
    "calibration": "vggexport.workflows.build.inputs.take_ranges",
    "export": "vggexport.formats.onnx.exporter.write_model",
    "writing": "vggexport.formats.onnx.file_writer._write_initializer",
    "check": f"{BUILDING}.check_file",
    "publish": f"{BUILDING}.publish",
    "sync": "vggexport.system.output_files.os.fsync",
    "sidecar": f"{BUILDING}.write_json",
}
ERRORS = {
    "interrupted": (KeyboardInterrupt(), "interrupted"),
    "memory": (MemoryError("Unable to allocate 3 GiB"), "out of memory: Unable to allocate 3 GiB"),
    "full": (OSError(errno.ENOSPC, "No space left on device"), "no room for out.onnx: No space"),
    "quota": (OSError(errno.EDQUOT, "Disk quota exceeded"), "no room for out.onnx: Disk quota"),
    "defect": (RuntimeError("one\ntwo"), "unexpected RuntimeError: one two; run again with -v"),
}


@pytest.mark.usefixtures("any_int8_will_do")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("case", ERRORS)
def test_a_broken_step(run, tiny, monkeypatch, workplace, old, listing, step, case):
    error, message = ERRORS[case]
    monkeypatch.setattr(STEPS[step], raising(error))
    outcome = run(
        *("onnx", *tiny, "--quantize", "--calibration-samples", 4, "--json"),
        *("-o", "out.onnx", "--force"),
    )
    assert outcome.code == 4
    assert message in outcome.error
    assert outcome.stdout == ""
    assert_old_output(workplace)
    assert listing() == ["out.onnx", "out.onnx.json"]


@pytest.mark.parametrize(
    "step",
    [
        "vggexport.workflows.calibrate.run.take_snapshots",
        "vggexport.workflows.calibrate.run.publish",
    ],
)
@pytest.mark.parametrize("case", ERRORS)
def test_a_broken_calibration(run, tiny, monkeypatch, listing, step, case):
    error, message = ERRORS[case]
    monkeypatch.setattr(step, raising(error))
    outcome = run("calibrate", *tiny, "--calibration-samples", 4, "-o", "out.onnx")
    assert outcome.code == 4
    assert message in outcome.error
    assert listing() == []


def test_a_defect_shows_its_traceback_when_asked(run, monkeypatch):
    monkeypatch.setattr(
        "vggexport.workflows.build.inputs.open_network", raising(RuntimeError("broken"))
    )
    outcome = run("onnx", "-v")
    assert outcome.code == 4
    assert "Traceback (most recent call last)" in outcome.stderr
    assert "RuntimeError: broken" in outcome.stderr


def test_a_full_disk_when_the_folder_is_made(run, monkeypatch, listing):
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("vggexport.system.output_files.tempfile.mkdtemp", raising(full))
    outcome = run("onnx")
    assert outcome.code == 4
    assert "no room for vgg_d.onnx" in outcome.error
    assert re.search(r"[\d,]+ bytes are free", outcome.error)


@pytest.mark.parametrize("options", [["--no-check"], ["--quantize"]], ids=["float32", "int8"])
def test_a_file_system_that_takes_no_more(server, workplace, smallest, listing, options):
    """A limit of a megabyte on every file: writing beyond it is EFBIG."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))"
    arguments = ("onnx", *smallest, *options, "-o", "out.onnx")
    process = Fork(server, workplace, *arguments, before=limit)
    code, _, stderr = finish(process)
    assert code == 4
    assert stderr.splitlines()[-1].startswith("Error: no room for out.onnx: File too large")
    assert listing() == []


# Where the results go.


@pytest.fixture(
    params=[["summary"], ["summary", "--json"], ["inspect", "vgg.onnx", "--json"]], ids=" ".join
)
def reporting(request, run, tiny):
    """A command with a report."""
    assert run("onnx", *tiny, "--no-check", "-o", "vgg.onnx").code == 0
    return request.param


def test_a_full_disk_behind_stdout(workplace, reporting):
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "vggexport", *reporting],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=workplace,
        )
    assert process.returncode == 4
    assert process.stderr == (
        "Error: no room for what was to be written: No space left on device; make room or write "
        "elsewhere\n"
    )


def test_a_reader_of_stdout_that_left(workplace, reporting):
    """Exit 1 would say that a check failed."""
    process = start(workplace, *reporting)
    process.stdout.close()
    process.stdout = None
    code, _, stderr = finish(process)
    assert code == 4
    assert "Traceback" not in stderr
    assert "Exception" not in stderr


# Packages that are not installed.


@pytest.fixture
def missing(tmp_path):
    """A PYTHONPATH on which a package is as good as not installed."""

    def make(package):
        (tmp_path / f"{package}.py").write_text(
            f"raise ModuleNotFoundError(\"No module named '{package}'\", name='{package}')\n"
        )
        return str(tmp_path)

    return make


@pytest.fixture
def imported_anew():
    """No module of ours is imported, and those that the test imports are gone afterwards."""
    load_exporter("onnx")  # and with it TensorFlow, which reads what we set for it once
    registered = keras.saving.get_custom_objects()
    layers = dict(registered)
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if is_ours(name)}
    yield
    for name in [*filter(is_ours, sys.modules)]:
        del sys.modules[name]
    sys.modules.update(ours)
    registered.update(layers)


def is_ours(name):
    return name.partition(".")[0] in {"vggexport", "calibration"}


@pytest.mark.usefixtures("imported_anew")
@pytest.mark.parametrize(
    ("package", "extra"),
    [
        ("tensorflow", "cpu"),
        ("keras", "cpu"),
        ("tf2onnx", "cpu"),
        ("onnx", "runtime"),
        ("onnxruntime", "runtime"),
    ],
)
def test_a_missing_package(run, smallest, monkeypatch, listing, package, extra, tmp_path_factory):
    monkeypatch.setitem(sys.modules, package, None)
    # With a traced graph from the cache the converter is not missed.
    monkeypatch.setenv("VGGEXPORT_CACHE_DIR", str(tmp_path_factory.mktemp("empty")))
    outcome = run("onnx", *smallest, main=import_module("vggexport.cli").main)
    assert (outcome.code, outcome.stdout) == (3, "")
    assert outcome.error == f"Error: {package} is not installed: pip install 'vggexport[{extra}]'"
    assert listing() == []


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_inspecting_without_a_package(workplace, missing, package):
    (workplace / "x.onnx").write_bytes(b"x")
    process = start(workplace, "inspect", "x.onnx", PYTHONPATH=missing(package))
    code, _, stderr = finish(process)
    assert code == 3
    assert stderr == f"Error: {package} is not installed: pip install 'vggexport[runtime]'\n"


def test_a_package_whose_libraries_are_missing(workplace, tmp_path):
    """As onnxruntime-gpu says on a machine without CUDA's libraries."""
    reason = "libcudart.so.12: cannot open shared object file"
    (tmp_path / "onnxruntime.py").write_text(f"raise ImportError('{reason}')\n")
    (workplace / "x.onnx").write_bytes(b"x")
    process = start(workplace, "inspect", "x.onnx", PYTHONPATH=str(tmp_path))
    code, _, stderr = finish(process)
    assert code == 3
    assert stderr.startswith("Error: onnxruntime")
    assert reason in stderr


def test_summary_needs_no_package(workplace, missing):
    for package in ("tensorflow", "onnx", "onnxruntime"):
        path = missing(package)
    assert finish(start(workplace, "summary", PYTHONPATH=path))[0] == 0
