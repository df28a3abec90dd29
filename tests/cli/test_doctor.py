"""``vggexport doctor``."""

import pytest

from vggexport.system import lazy_imports
from vggexport.workflows.doctor import run as workflow


@pytest.fixture(autouse=True)
def light(monkeypatch):
    monkeypatch.setattr(workflow, "load_runner", lambda format_name, runtime: object)


def test_what_works_is_shown(run):
    outcome = run("doctor")
    assert outcome.code == 0, outcome.stderr
    for part in ("onnxruntime", "CPUExecutionProvider: starts", "SavedModels", "full-size export"):
        assert part in outcome.stdout


def test_what_is_required_and_missing_is_exit_3(run, monkeypatch):
    monkeypatch.setattr(lazy_imports, "is_installed", lambda package: package != "tf2onnx")
    outcome = run("doctor", "onnx", "verify", "--json")
    assert (outcome.code, outcome.json["passed"]) == (3, False)
    assert outcome.error == "Error: onnx needs tf2onnx: pip install 'vggexport[cpu]'"
    assert run("doctor", "verify").code == 0
