"""What works here, on machines that are made up."""

import sys

import pytest

from vggexport.cli.group import COMMANDS
from vggexport.errors import InputError, Unavailable
from vggexport.formats.onnx import providers
from vggexport.formats.registry import RUNTIMES
from vggexport.reports import text
from vggexport.system import lazy_imports
from vggexport.workflows.doctor import run as workflow
from vggexport.workflows.doctor.run import NEEDS, doctor


@pytest.fixture(autouse=True)
def light(monkeypatch):
    """No runtime is imported."""
    monkeypatch.setattr(workflow, "load_runner", lambda format_name, runtime: object)


def test_every_command_that_needs_a_package_is_known():
    assert {name for name in COMMANDS if name not in NEEDS} == {"doctor", "schema"}
    known = {package for packages in NEEDS.values() for package in packages}
    assert lazy_imports.installs(sorted(known)).startswith("pip install 'vggexport[cpu")


def test_everything_is_installed_where_tests_run():
    report = doctor()
    assert {runtime.name for runtime in report.runtimes} == RUNTIMES
    assert [a.name for a in report.abilities if not a.works] == []
    assert all(runtime.works and runtime.version for runtime in report.runtimes)
    assert [room.enough for room in report.rooms if room.free_bytes == 0] == []
    assert report.passed


def test_what_is_missing_is_told_with_the_line_that_installs_it(monkeypatch):
    gone = {"tensorflow", "tf2onnx", "keras", "matplotlib"}
    monkeypatch.setattr(lazy_imports, "is_installed", lambda package: package not in gone)
    report = doctor(["verify", "onnx", "--html"])
    assert doctor("verify").required == ("verify",)
    missing = {ability.name: ability for ability in report.abilities if not ability.works}
    assert missing.keys() >= {"onnx", "savedmodel", "train", "--html"}
    assert "verify" not in missing
    assert missing["--html"].install == "pip install 'vggexport[report]'"
    assert missing["onnx"].install == "pip install 'vggexport[cpu]'"
    assert report.failures == (
        "onnx needs tensorflow, keras, tf2onnx: pip install 'vggexport[cpu]'",
        "--html needs matplotlib: pip install 'vggexport[report]'",
    )


def test_a_package_that_is_not_there_is_not_installed(monkeypatch):
    assert lazy_imports.is_installed("numpy")
    assert not lazy_imports.is_installed("no_such_package")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert not lazy_imports.is_installed("tensorflow")


def test_a_runtime_that_cannot_be_imported_has_its_reason(monkeypatch):
    def refuse(_format, runtime):
        if runtime == "litert":
            raise Unavailable("ai_edge_litert cannot be imported here: no AVX")

    monkeypatch.setattr(workflow, "load_runner", refuse)
    (litert,) = (r for r in doctor().runtimes if r.name == "litert")
    assert (litert.works, litert.version) == (False, None)
    assert litert.problem == "ai_edge_litert cannot be imported here: no AVX"


def test_a_provider_that_does_not_start_is_told_and_not_believed(monkeypatch):
    """onnxruntime-gpu lists CUDA on a machine without a GPU."""
    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(providers.onnxruntime, "get_available_providers", lambda: offered)
    opened = providers.open_session

    def open_session(path, options, provider):
        if provider.startswith("CUDA"):
            raise Unavailable("execution provider CUDAExecutionProvider did not start: no driver")
        return opened(path, options, provider)

    monkeypatch.setattr(providers, "open_session", open_session)
    found = providers.try_providers()
    assert found["CUDAExecutionProvider"].endswith("did not start: no driver")
    assert found["CPUExecutionProvider"] == ""


def test_too_little_room_is_said(monkeypatch):
    monkeypatch.setattr(workflow, "available_memory_bytes", lambda: 2**30)
    report = doctor()
    assert not report.rooms[0].enough
    machine = [*text.doctor(report).renderables][4]
    assert machine.lines["memory"] == "1.00 GiB free, 2.00 GiB for a full-size export: TOO LITTLE"


def test_what_is_not_known_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="'verfy' is not known: did you mean 'verify'"):
        doctor(["verfy"])
