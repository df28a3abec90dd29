"""Errors name options as data, and a command is told of those that it has."""

import ast
import re
from pathlib import Path

import click
import pytest

import calibration
import vggexport
from calibration.decoding import OPEN_DEPTH
from vggexport.cli.group import COMMANDS, main
from vggexport.cli.wording import named, worded
from vggexport.errors import Advice, InputError
from vggexport.opening.calibration_images import reading_advice

ROOT = Path(vggexport.__file__).parent
LIBRARY = [
    path
    for root in (ROOT, Path(calibration.__file__).parent)
    for path in sorted(root.rglob("*.py"))
    if not {"cli", "reports", "templates"} & set(path.relative_to(root).parts)
]
OF_OTHER_PROGRAMS = {ROOT / "system" / "gpu.py"}  # nvidia-smi's
DOCTOR = ROOT / "workflows" / "doctor" / "run.py"
"""What it reports on is named by options."""
OPTION = re.compile(r"(?<![\w-])--(?:[a-z][a-z0-9-]+|$)")


def command(name: str) -> click.Command:
    return main.get_command(None, name)


def advice_in(source: str) -> list[Advice]:
    """Every ``Advice(...)`` of a module, values in its text left out."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Advice":
            text, *options = node.args
            assert all(isinstance(option, ast.Constant) for option in options), ast.unparse(node)
            of = {word.arg: command_of(word.value) for word in node.keywords}
            found.append(Advice(text_of(text), *map(ast.literal_eval, options), **of))
    return found


def command_of(node: ast.expr) -> str:
    """Of one that the file's format names, the command that writes all formats."""
    return node.value if isinstance(node, ast.Constant) else "export"


def text_of(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value for part in node.values if isinstance(part, ast.Constant))
    return ast.literal_eval(node)


def unknown_options(advice: list[Advice]) -> list[str]:
    """Options that no command has, or not the one that is named."""
    return [
        option
        for way in advice
        for option in way.options
        if not any(named(option, command(c)) for c in ([way.command] if way.command else COMMANDS))
    ]


ADVICE = [way for path in LIBRARY for way in advice_in(path.read_text())]


def test_every_option_that_advice_names_is_one_of_a_command():
    assert len(ADVICE) > 40
    assert unknown_options(ADVICE) == []
    for way in ADVICE:
        unnamed = way.options[way.text.count("{}") :]
        # what a command alone has, evaluate or train: it is told of it
        assert unnamed in {(), ("csv",), ("validation_data",)}, way.text


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_told_of_its_own_options(name):
    """Whatever error it meets, of whatever part of the package."""
    for way in ADVICE:
        message = worded("it is wrong", [way], command(name))
        for option in OPTION.findall(message):
            assert named(option[2:], command(way.command or name)) == option, message


def test_the_library_writes_no_options_itself():
    for path in set(LIBRARY) - OF_OTHER_PROGRAMS - {DOCTOR}:
        assert options_in(path.read_text()) == [], path


def options_in(source: str) -> list[str]:
    """Options in the strings of a module that are not its documentation."""
    tree = ast.parse(source)
    told = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(body := getattr(node, "body", ()), list)
        for statement in body
        if isinstance(statement, ast.Expr)
    }
    strings = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
    ]
    return [option for text in strings for option in OPTION.findall(text)]


def test_a_wrong_option_is_found():
    planted = advice_in('raise InputError(f"{x} is bad", Advice(f"pass {{}} {x}", "wieghts"))')
    assert unknown_options(planted) == ["wieghts"]
    elsewhere = advice_in('Advice("make it with {}", "save_golden", command="benchmark")')
    assert unknown_options(elsewhere) == ["save_golden"]
    assert options_in('raise InputError("bad: pass --force")') == ["--force"]
    assert options_in('raise InputError(f"bad: pass --{name}")') == ["--"]


@pytest.mark.parametrize("path", sorted((ROOT / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_a_command_writes_its_own_options(path):
    """In its messages; what several commands share, those of one of them."""
    name = path.stem.replace("_", "-")
    sharing = {"building": ("onnx", "tflite", "savedmodel")}.get(name, (name,))
    source = path.read_text().replace("verify --save-golden", "")  # the command is named
    for option in set(options_in(source)) - {"--"} if set(sharing) <= set(COMMANDS) else []:
        assert any(named(option[2:], command(c)) == option for c in sharing), option


def test_reports_name_options_that_there_are():
    strings = (path.read_text() for path in (*(ROOT / "reports").rglob("*.py"), DOCTOR))
    options = {option[2:] for text in strings for option in options_in(text)}
    assert {"require", "csv", "quantize"} <= options
    assert all(any(named(o, command(c)) for c in COMMANDS) for o in options), options


def test_what_a_command_has_not_is_left_out():
    error = InputError("3 of 4", Advice("pass {} 3", "samples"), "add images")
    told = {n: worded(error.fact, error.advice, command(n)) for n in ("onnx", "verify", "diff")}
    assert told == {
        "onnx": "3 of 4: pass --calibration-samples 3, or add images",
        "verify": "3 of 4: pass --images 3, or add images",
        "diff": "3 of 4: add images",
    }
    assert str(error) == "3 of 4: pass samples 3, or add images"


def test_a_command_without_a_bit_depth_is_told_of_none():
    """The reason, which the library gives, was an advice: "state the bit depth"."""
    reason = f"a.png: its values go up to 4095, 12 of 16 bits, and {OPEN_DEPTH}"
    told = {n: worded(reason, reading_advice(reason), command(n)) for n in ("onnx", "bundle")}
    state = "state it with --bit-depth, 16 if it is that dark"
    assert told == {"onnx": f"{reason}: {state}", "bundle": reason}


def test_options_of_another_command_are_told_with_it():
    way = Advice("make it again with {}", "save_golden", command="verify")
    assert worded("no", [way], command("bundle")) == "no: make it again with verify --save-golden"


def test_verify_on_a_folder_with_broken_images(run, tiny, make_images, workplace):
    make_images(workplace / "photos", 3)
    assert run("onnx", *tiny, "-o", "a.onnx").code == 0
    command = ("verify", "a.onnx", "random:0", "--data", "photos", "--images", 3)
    first, second, _ = sorted((workplace / "photos").rglob("*.png"))
    first.write_bytes(b"no image")
    assert run(*command).code == 0
    second.write_bytes(b"no image")
    outcome = run(*command)
    assert outcome.code == 2
    assert "replace or remove them, or tolerate more with --max-unreadable" in outcome.error
    assert "--calibration" not in outcome.error


@pytest.mark.parametrize(
    "option", ["--ranges", "--calibration-data", "--calibration-samples", "--calibration-method"]
)
def test_a_savedmodel_is_not_calibrated(run, option):
    outcome = run("savedmodel", option, "x")
    assert (outcome.code, f"No such option '{option}'" in outcome.error) == (2, True)
    assert named(option[2:], command("savedmodel")) is None


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("onnx --int8", "--quantize?"),
        ("export --int8", "--precisions int8?"),
        ("tflite --float16", "--precision float16?"),
    ],
)
def test_a_precision_is_no_option(run, arguments, meant):
    outcome = run(*arguments.split())
    assert (outcome.code, f"Did you mean {meant}" in outcome.error) == (2, True)
