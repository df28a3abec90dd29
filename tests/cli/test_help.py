"""What a command says of itself, and what that costs."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

import calibration
from vggexport.cli.evaluate import CLASS_ORDERS
from vggexport.cli.group import COMMANDS, main
from vggexport.cli.network_options import LAYOUTS, POOLINGS
from vggexport.cli.options import METHODS, RUNTIMES
from vggexport.cli.value_types import DYNAMIC
from vggexport.formats import registry
from vggexport.metrics.placement import QNN_PROVIDER
from vggexport.network.head import Pooling
from vggexport.network.spec import DEFAULT_CONFIGURATION
from vggexport.opening.calibration_images import DEFAULT_SAMPLES, CalibrationOptions
from vggexport.opening.int8_adjustments import OTHER_METHOD
from vggexport.opening.network import DEFAULT_WEIGHTS, NetworkOptions
from vggexport.weights import layouts
from vggexport.weights.head_inputs import ADAPTIVE
from vggexport.workflows.build.several import ExportOptions
from vggexport.workflows.evaluate.class_order import ORDERS
from vggexport.workflows.verify.options import DEFAULT_IMAGES, NPU_IMAGES

HEAVY = (
    *("numpy", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "ai_edge_litert", "PIL"),
    *("jinja2", "matplotlib"),
)
ROOT = Path(__file__).parents[2]

SHOW_HELPS = f"""
import contextlib, io, json, sys
from vggexport.cli import main
helps = {{}}
for name in json.loads(sys.argv[1]):
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            main([*name.split(), "--help"])
    except SystemExit as leaving:
        helps[name] = leaving.code, said.getvalue(), sorted({set(HEAVY)} & set(sys.modules))
print(json.dumps(helps))
"""


@pytest.fixture(scope="module", params=["everything installed", "nothing heavy to be imported"])
def helps(request, tmp_path_factory):
    """Each command's exit code, help and the heavy modules imported then; "" is the group's."""
    folder = tmp_path_factory.mktemp("heavy")
    if request.param != "everything installed":
        for name in HEAVY:
            (folder / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    process = subprocess.run(
        [sys.executable, "-c", SHOW_HELPS, json.dumps(["", *COMMANDS])],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
    )
    assert process.stderr == ""
    return json.loads(process.stdout)


def option(command: str, name: str):
    return next(p for p in main.get_command(None, command).params if p.name == name)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_nothing_heavy(helps, command):
    code, said, heavy = helps[command]
    assert (code, heavy) == (0, [])
    assert said.startswith(f"Usage: vggexport {command}".rstrip())


def test_the_help_lists_every_command_with_how_its_own_help_begins(run):
    listed = run("--help").stdout.partition("Commands:")[2]
    own = {name: main.get_command(None, name).get_short_help_str(limit=200) for name in COMMANDS}
    assert listed.split() == " ".join(f"{name} {text}" for name, text in own.items()).split()


def test_the_help_imports_no_command(workplace):
    code = "import atexit, sys; from vggexport.cli import main\n"
    code += "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main(['--help'])"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=workplace
    )
    ours = {name for name in process.stderr.split() if name.startswith("vggexport.")}
    group = {
        "vggexport.cli",
        "vggexport.cli.examples",
        "vggexport.cli.group",
        "vggexport.cli.help_colours",
        "vggexport.cli.wording",
        "vggexport.errors",
    }
    assert ours == group


def test_no_arguments_show_the_help(run):
    outcome = run()
    assert outcome.code == 2
    assert "\nCommands:\n" in outcome.stdout + outcome.stderr


def test_the_version(run):
    from vggexport import __version__

    assert run("--version").stdout == f"vggexport, version {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"vggexport {command}" in readme or f"`{command}`" in readme


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_help_text(command):
    options = [p for p in main.get_command(None, command).params if p.param_type_name == "option"]
    assert options
    assert [o.name for o in options if not o.help] == []


def test_calibration_literals_are_those_of_the_package():
    assert tuple(calibration.OBSERVERS) == METHODS
    assert ORDERS == CLASS_ORDERS
    chosen = f"else by {calibration.DEFAULT_METHOD}, or by {OTHER_METHOD} where"
    assert chosen in option("onnx", "calibration_method").help
    assert option("onnx", "calibration_samples").default == DEFAULT_SAMPLES
    counts = f"[default: {DEFAULT_IMAGES}; {NPU_IMAGES} on {QNN_PROVIDER}]"
    assert option("verify", "images").help.endswith(counts)
    assert option("onnx", "calibration_data").default == calibration.SYNTHETIC
    assert CalibrationOptions().data == calibration.SYNTHETIC


def test_export_literals_are_those_of_the_package():
    defaults = ExportOptions()
    assert option("export", "formats").default == ",".join(defaults.formats)
    assert option("export", "precisions").default == ",".join(defaults.precisions)


def test_runtimes_are_those_of_the_formats():
    assert len(RUNTIMES) == len({*RUNTIMES})
    assert {*RUNTIMES} == registry.RUNTIMES


def test_network_literals_are_those_of_the_package():
    assert {*LAYOUTS} == {layouts.AUTO, *layouts.LAYOUTS}
    assert option("onnx", "weights").default == DEFAULT_WEIGHTS
    defaults = NetworkOptions()
    assert option("onnx", "weights_layout").default == defaults.layout
    assert defaults.request.configuration is None
    assert f"or {DEFAULT_CONFIGURATION}]" in option("onnx", "config").help
    assert {*POOLINGS} == {*Pooling, ADAPTIVE}
    assert option("onnx", "seed").default == defaults.seed == CalibrationOptions().seed
    assert option("onnx", "batch").default == DYNAMIC


def test_the_opsets_in_the_help_are_those_of_the_exporter():
    from vggexport.formats.onnx import architecture

    said = f"{architecture.MIN_OPSET} to {architecture.MAX_OPSET}.  "
    assert f"{said}[default: {architecture.DEFAULT_OPSET}]" in option("onnx", "opset").help


@pytest.mark.parametrize("command", ["onnx", "calibrate"])
def test_commands_that_build_a_network_have_the_shared_options(command):
    flags = {flag for p in main.get_command(None, command).params for flag in p.opts}
    contract = {
        *("--weights", "--weights-layout", "--weights-sha256", "--init-missing", "--config"),
        *("--classes", "--fc-units", "--input-size", "--labels", "-o", "--output", "--force"),
        *("--calibration-data", "--calibration-samples", "--calibration-method", "--seed"),
        *("--json", "-v"),
    }
    assert contract <= flags


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("command", [(), ("onnx",)])
def test_help_is_in_colour_on_a_terminal_alone(command, run, monkeypatch):
    """Without the colours it is the same text; NO_COLOR and dumb terminals have none."""
    monkeypatch.setenv("TERM", "xterm")
    plain = run(*command, "--help").stdout
    shown = help_on_a_terminal(command)
    assert "\x1b[36m--help" in shown or "\x1b[36m-h, --help" in shown
    assert click.unstyle(shown) == plain
    for name, value in {"NO_COLOR": "1", "TERM": "dumb"}.items():
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert help_on_a_terminal(command) == plain


def help_on_a_terminal(command):
    with contextlib.redirect_stdout(Terminal()) as stdout, pytest.raises(SystemExit):
        main([*command, "--help"])
    return stdout.getvalue()
