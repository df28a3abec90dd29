"""The package as a library: its functions in one sentence, typed, and light to import."""

import ast
import doctest
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import vggexport
from vggexport.cli.group import COMMANDS
from vggexport.errors import InputError
from vggexport.results.schemas import DOCUMENTS
from vggexport.system.lazy_imports import resolve

CORPUS = Path(__file__).parent / "corpus/0.1.0"
PACKAGE = Path(vggexport.__file__).parent
FUNCTIONS = {"summary": "summarize", "savedmodel": "build", "onnx": "build", "tflite": "build"}
"""Of commands that have another name there."""


def test_what_the_docstring_shows(tmp_path, monkeypatch):
    """On a tiny network, the corpus's."""
    shutil.copytree(CORPUS / "images", tmp_path / "images")
    shutil.copy(CORPUS / "weights.safetensors", tmp_path)
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder(recurse=False).find(vggexport, "vggexport")
    result = doctest.DocTestRunner().run(example)
    assert (result.failed, result.attempted) == (0, 8)


def test_importing_it_imports_little():
    def imported(statement: str) -> set[str]:
        code = f"import sys; {statement}; print(*sys.modules)"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    brought = imported("import vggexport") - imported("pass") - sys.stdlib_module_names
    packages = {name for name in brought if name.partition(".")[0] not in sys.stdlib_module_names}
    assert packages == {"vggexport", "vggexport.errors"}


def test_type_checkers_see_the_names_that_there_are():
    tree = ast.parse(Path(vggexport.__file__).read_text("utf-8"))
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    names = {
        alias.name: f"{part.module}:{alias.name}"
        for part in typed.body
        if isinstance(part, ast.ImportFrom)
        for alias in part.names
    }
    assert names == {n: f"vggexport.{p}:{n}" for n, p in vggexport._PLACES.items()}
    assert resources.files(vggexport).joinpath("py.typed").is_file()


@pytest.mark.parametrize("command", DOCUMENTS)
def test_every_command_is_a_function_that_returns_its_result(command):
    assert command in COMMANDS
    name = FUNCTIONS.get(command, command.replace("-", "_"))
    returned = getattr(vggexport, name).__annotations__["return"]
    assert returned == resolve(DOCUMENTS[command]).__name__


@pytest.mark.parametrize(
    "call",
    [
        lambda: vggexport.verify(["a.onnx"], seed=1),
        lambda: vggexport.verify(artifacts=("a.onnx",), seed=1),
        lambda: vggexport.verify(vggexport.VerifyOptions(["a.onnx"], seed=1), clock=lambda: 0.0),
    ],
)
def test_fields_of_the_options_or_the_options(call):
    with pytest.raises(InputError, match="name two artifacts"):
        call()


def test_a_field_that_there_is_not():
    with pytest.raises(TypeError, match="sed"):
        vggexport.verify(["a.onnx"], sed=1)


def test_a_name_that_it_has_not():
    with pytest.raises(AttributeError, match="no attribute 'exprot'"):
        _ = vggexport.exprot


def test_every_folder_of_code_is_a_package():
    """A wheel leaves out what is none."""
    folders = {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE / "bundles" / "templates"}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_a_folder_of_the_same_name_is_not_taken_for_the_package(tmp_path):
    """As the folder above a clone has one."""
    (tmp_path / "vggexport").mkdir()
    shown = [sys.executable, "-c", "import vggexport; print(vggexport.__version__)"]
    done = subprocess.run(shown, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{vggexport.__version__}\n"
