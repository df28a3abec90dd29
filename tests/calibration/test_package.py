import ast
import subprocess
import sys
from pathlib import Path

import pytest

import calibration

MODULES = sorted(Path(calibration.__file__).parent.glob("*.py"))
ALLOWED = {"calibration", "numpy", "PIL"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", calibration.__all__)
def test_public_names_exist_and_are_documented(name):
    public = getattr(calibration, name)
    assert isinstance(public, str | dict) or public.__doc__


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_but_numpy_pillow_and_the_standard_library_is_imported(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert imported
    assert {name.partition(".")[0] for name in imported} <= ALLOWED


def test_importing_starts_no_thread_and_changes_no_warning_filter():
    code = (
        "import threading, warnings, numpy, PIL.Image; before = list(warnings.filters);"
        "import calibration;"
        "assert threading.active_count() == 1; assert list(warnings.filters) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
