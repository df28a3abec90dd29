"""Looking names up, and what is said when a package is missing."""

import gc
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from vggexport.errors import InputError, Unavailable
from vggexport.system import lazy_imports

FRAMEWORKS = (
    *("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "h5py", "ai_edge_litert"),
    "matplotlib",
)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A module of the given text, as a registry with the one name "plugin"."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "registry_plugin", raising=False)

    def make(text: str) -> dict[str, str]:
        (tmp_path / "registry_plugin.py").write_text(text)
        return {"plugin": "registry_plugin:THING"}

    yield make
    sys.modules.pop("registry_plugin", None)


def test_a_name_is_imported_when_it_is_asked_for(plugin):
    entries = plugin("THING = ['loaded']")
    assert "registry_plugin" not in sys.modules
    assert lazy_imports.load(entries, "plugin") == ["loaded"]
    assert lazy_imports.load(entries, "plugin") is sys.modules["registry_plugin"].THING


def test_an_unknown_name_is_refused_with_the_known_ones():
    entries = {"onnx": "never:imported", "tflite": "never:imported"}
    with pytest.raises(InputError, match=r"'tvm' is not known: choose from onnx, tflite$"):
        lazy_imports.load(entries, "tvm")


@pytest.mark.parametrize(("package", "extra"), list(lazy_imports._EXTRAS.items()))
def test_a_missing_package_is_named_with_its_pip_command(plugin, monkeypatch, package, extra):
    for module in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)  # imports of it fail as if it were missing
    entries = plugin(f"import {package}.part\nTHING = 1")
    with pytest.raises(Unavailable) as raised:
        lazy_imports.load(entries, "plugin")
    assert str(raised.value) == f"{package} is not installed: pip install 'vggexport[{extra}]'"


def test_a_missing_module_that_no_extra_brings_is_not_disguised(plugin):
    with pytest.raises(ModuleNotFoundError, match="no_such_package_of_ours"):
        lazy_imports.load(plugin("import no_such_package_of_ours"), "plugin")


def test_what_native_libraries_print_while_they_load_is_kept_off_the_terminal(plugin, capfd):
    entries = plugin("import os\nos.write(2, b'chatter')\nTHING = 1")
    lazy_imports.load(entries, "plugin")
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


def test_what_they_print_is_shown_if_loading_fails(plugin, capfd):
    with pytest.raises(RuntimeError, match="cannot start"):
        lazy_imports.load(
            plugin("import os\nos.write(2, b'the cause')\nraise RuntimeError('cannot start')"),
            "plugin",
        )
    assert capfd.readouterr().err == "the cause"


@pytest.mark.parametrize(("given", "seen"), [(None, "0"), ("1", "1")])
def test_tensorflow_is_told_not_to_reorder_weights_unless_the_user_says_so(
    plugin, monkeypatch, given, seen
):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if given:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given)
    entries = plugin("import os\nTHING = os.environ['TF_ENABLE_ONEDNN_OPTS']")
    assert lazy_imports.load(entries, "plugin") == seen


def test_looking_at_the_registries_imports_no_framework():
    code = (
        "import sys, vggexport.formats.registry, vggexport.system.lazy_imports, vggexport.reports,"
        " vggexport.metrics.parity, vggexport.quantization.audit\n"
        f"print([name for name in {FRAMEWORKS} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def _brings(requirements: list[str], package: str) -> bool:
    names = {re.split(r"[>~=\[]", requirement)[0] for requirement in requirements}
    distributions = {
        "keras": "tensorflow",
        "ai_edge_litert": "ai-edge-litert",
        "onnxruntime_qnn": "onnxruntime-qnn",
        "pandas": "ray",
        "pyarrow": "ray",
    }
    return (
        distributions.get(package, package) in names
    )  # Keras comes with TensorFlow, pandas with Ray Data


def test_the_extra_named_is_the_smallest_that_brings_the_package():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    extras["cpu"] = extras["cpu"] + extras["build"]
    assert "vggexport[build]" in extras["cpu"]
    for package, extra in lazy_imports._EXTRAS.items():
        smallest_first = ("report", "sign", "openvino", "ray", "qnn", "runtime", "cpu")
        brought_by = [name for name in smallest_first if _brings(extras[name], package)]
        assert brought_by[0] == extra


@pytest.mark.parametrize("is_on", [True, False])
def test_no_garbage_is_looked_for_during_an_import(plugin, is_on):
    """Afterwards it is as before."""
    before = gc.isenabled()
    try:
        (gc.enable if is_on else gc.disable)()
        assert lazy_imports.load(plugin("import gc; THING = gc.isenabled()"), "plugin") is False
        assert gc.isenabled() is is_on
    finally:
        (gc.enable if before else gc.disable)()
