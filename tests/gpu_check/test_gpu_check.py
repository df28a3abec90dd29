"""The two halves of ``make gpu-check``, on the CPU's execution provider; decisions on CUDA by
fakes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpu_check import measure, run
from gpu_check.check import run_pack
from gpu_check.figures import figures
from gpu_check.pack import pack
from gpu_check.table import markdown
from vggexport.errors import InputError, Unavailable
from vggexport.metrics.placement import CPU_PROVIDER, CUDA_PROVIDER
from vggexport.opening.network import NetworkOptions

ON_CPU = ("--provider", CPU_PROVIDER, "--quick", "--json")

BARE_MACHINE = """
import runpy, sys
absent = {"click", "rich", "PIL", "platformdirs", "safetensors", "tensorflow", "keras", "tf2onnx"}
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Missing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def packed(tiny, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gpu") / "pack"
    pack(folder, NetworkOptions("random:0", request=tiny))
    return folder


@pytest.fixture
def copy(packed, tmp_path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "copy"))


def test_a_pack_runs_with_numpy_onnx_and_onnxruntime_alone(copy, tmp_path):
    """From another folder, and not from this project's own sources."""
    answer = subprocess.run(
        [sys.executable, "-c", BARE_MACHINE, str(copy / "run.py"), *ON_CPU],
        cwd=tmp_path,
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    report = json.loads(answer.stdout)
    assert (report["passed"], report["failures"]) == (True, [])
    assert [file["same_bytes"] for file in report["files"].values()] == [True] * 3
    assert {name: case["passed"] for name, case in report["parity"].items()} == {
        "float32": True, "float16": True, "int8": True,
    }  # fmt: skip
    assert all(found["node_share"] == 1.0 for found in report["placement"].values())
    assert report["latency"]["int8"][0]["p50_ms"] > 0
    assert "| float16, batch 1 |" in (copy / "report.md").read_text()
    assert sum(f.stat().st_size for f in copy.rglob("*") if f.is_file()) < 2_000_000


def edit(folder: Path, change) -> None:
    told = json.loads((folder / "pack.json").read_text())
    change(told["artifacts"])
    (folder / "pack.json").write_text(json.dumps(told))


def test_other_bytes_are_told(copy, capsys):
    edit(copy, lambda artifacts: artifacts["float16"].update(sha256="0" * 64))
    assert run.main(copy, ON_CPU) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["failures"] == ["the float16 file has other bytes than where the pack was made"]


def test_other_weights_are_told_before_a_file_is_written(copy, capsys, tmp_path):
    edit(copy, lambda artifacts: artifacts["float32"]["weights"].update(sha256="0" * 64))
    assert run.main(copy, [*ON_CPU, "--files", str(tmp_path / "files")]) == 1
    assert "the weights of random:0 have the SHA-256" in capsys.readouterr().err
    assert not list((tmp_path / "files").iterdir())


def test_other_answers_are_out_of_tolerance(copy, capsys):
    with np.load(copy / "expected.npz") as stored:
        answers = dict(stored)
    answers["int8"] = answers["int8"][:, ::-1]
    np.savez(copy / "expected.npz", **answers)
    assert run.main(copy, ON_CPU) == 1
    (failure,) = json.loads(capsys.readouterr().out)["failures"]
    assert failure.startswith("int8: SQNR of the logits ")
    assert failure.endswith("35 dB needed")


def test_a_damaged_pack_and_a_folder_that_is_none_are_refused(copy, tmp_path, capsys):
    (copy / "expected.npz").write_bytes(b"PK\x03\x04")
    assert run.main(copy, ON_CPU) == 2
    assert f"{copy} is no whole pack" in capsys.readouterr().err
    with pytest.raises(InputError, match="is no pack: make one with --pack"):
        run_pack(tmp_path, [])


def test_without_cuda_the_exit_code_is_3(packed, capsys):
    assert run.main(packed, []) == 3
    assert "CUDAExecutionProvider is not in this onnxruntime" in capsys.readouterr().err


def test_a_silent_fallback_is_refused_first(monkeypatch):
    monkeypatch.setattr(measure, "try_providers", lambda: {CUDA_PROVIDER: "did not start"})
    with pytest.raises(Unavailable, match="did not start"):
        measure.check_starts(CUDA_PROVIDER)


class FakeRunner:
    """Answers what it is given, and tells how it was opened."""

    opened: list[tuple[str, dict[str, str] | None]] = []  # noqa: RUF012  each test its own
    answers: np.ndarray

    def __init__(self, path, *, provider, provider_options=None):
        type(self).opened.append((path.name, provider_options))

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    def predict(self, _images):
        return self.answers

    def prepare(self, _images):
        return type("Prepared", (), {"probabilities": lambda _self: self.answers})()


@pytest.mark.parametrize(("noise", "failing"), [(0.0, []), (1e-3, ["float32 without TF32"])])
def test_float32_on_cuda_is_held_to_float32_and_to_tf32(monkeypatch, noise, failing):
    """A thousandth on the logits is 60 dB: within TF32's and float16's limits alone."""
    logits = np.random.default_rng(0).normal(size=(4, 50))
    noisy = logits + noise * np.random.default_rng(1).normal(size=logits.shape)
    expected, FakeRunner.answers = (
        np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (logits, noisy)
    )
    FakeRunner.opened = []
    monkeypatch.setattr(measure, "OnnxRunner", FakeRunner)
    names = ("float32", "float16", "int8")
    found = measure.parity(
        {name: Path(name) for name in names}, logits, dict.fromkeys(names, expected), CUDA_PROVIDER
    )
    assert FakeRunner.opened == [
        ("float32", {"use_tf32": "0"}), ("float32", {}), ("float16", {}), ("int8", {}),
    ]  # fmt: skip
    assert [name for name, case in found.items() if not case["passed"]] == failing
    assert len(measure.parity_failures(found)) == len(failing)


@pytest.mark.parametrize(
    ("answer", "tried"),
    [({"error": "out of memory"}, 1), ({"p50_ms": 5001.0}, 1), ({"p50_ms": 1.0}, 9)],
)
def test_a_curve_ends_where_memory_or_patience_does(monkeypatch, answer, tried):
    monkeypatch.setattr(measure, "_runs", lambda *_a, **_k: answer)
    monkeypatch.setattr(measure, "OnnxRunner", FakeRunner)
    images = np.zeros((4, 2, 2, 3), np.uint8)
    curve = measure.curves(
        {"float16": Path("a")}, images, CUDA_PROVIDER, quick=False, left=lambda: 1.0
    )
    assert len(curve["float16"]) == tried


def test_other_versions_than_the_packs_are_told():
    report = {
        "provider": CUDA_PROVIDER,
        "passed": True,
        "failures": [],
        "machine": {"gpu": {"name": "H100", "driver": "570.1"}, "found": {}, "python": "3.13.0"},
        "versions": {
            "here": {"numpy": "2.5.5", "onnx": "1.23.2"},
            "pack": {"numpy": "2.4.6", "onnx": "1.23.2", "tensorflow": "2.21.0"},
        },
    }
    table = markdown(report)
    assert "H100, driver 570.1" in table
    assert "The pack was made with numpy 2.4.6\n" in table


def test_the_figures_of_a_card():
    """Half of PyTorch's time, 60 % of the ceiling, int8 twice as slow as float16."""
    found = figures(
        {
            "variants": {
                "float16, batch 1, defaults": {"p50_ms": 1.0},
                "float16, batch 1, CUDA graph": {"p50_ms": 0.5},
                "float16, batch 1, NHWC": {"error": "no kernel"},
                "float16, batch 64, defaults": {"p50_ms": 0.1},
            },
            "pytorch": {"compiled, batch 1": {"p50_ms": 1.0}},
            "ceilings": {"float16": 1000.0},
            "latency": {
                "float16": [{"batch": 1, "p50_ms": 1.5}, {"batch": 64, "gflop_per_s": 600.0}],
                "int8": [{"batch": 1, "p50_ms": 3.0}],
            },
        }
    )
    assert list(found.values()) == [0.5, 0.6, 2.0]
    assert figures({"variants": {"error": "out of memory"}, "pytorch": {"absent": "no"}}) == {}


def test_nodes_elsewhere_are_a_failure():
    found = {"int8": {"node_share": 0.5, "elsewhere": {CPU_PROVIDER: ["Softmax"]}}}
    (failure,) = measure.placement_failures(found)
    assert failure.startswith("int8: 50.0% of the nodes on the provider")
