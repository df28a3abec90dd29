"""From options to who takes turns with whom."""

from pathlib import Path

import numpy as np
import pytest

from vggexport.errors import ArtifactError, InputError, Unavailable, WeightsError
from vggexport.workflows.benchmark import measured_model
from vggexport.workflows.benchmark.measured_model import environment_variables
from vggexport.workflows.benchmark.options import BenchmarkOptions

CUDA = "CUDAExecutionProvider"


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.onnx", "b.tflite"):
        (tmp_path / name).touch()
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").touch()


def test_every_artifact_with_every_number_of_threads_and_every_batch():
    options = BenchmarkOptions(("a.onnx", "random:0"), threads=(1, 2), batches=(1, 8))
    cells = options.cells()
    assert [{(e.threads, e.batch) for e in cell} for cell in cells] == [
        {(1, 1)}, {(1, 8)}, {(2, 1)}, {(2, 8)}
    ]  # fmt: skip
    assert [[entry.source for entry in cell] for cell in cells] == [["a.onnx", "random:0"]] * 4


def test_a_file_takes_turns_with_itself_in_every_runtime_asked_for_that_runs_it():
    names = ("openvino", "onnxruntime")
    cell = BenchmarkOptions(("a.onnx", "b.tflite", "random:0"), runtimes=names).cells()[0]
    assert [(entry.source, entry.runtime) for entry in cell] == [
        ("a.onnx", "onnxruntime"),
        ("a.onnx", "openvino"),
        ("b.tflite", "openvino"),
        ("random:0", "keras"),
    ]
    with pytest.raises(InputError, match="tensorflow runs none of the files given") as raised:
        BenchmarkOptions(("a.onnx",), runtimes=("openvino", "tensorflow")).cells()
    assert "from onnxruntime, openvino" in str(raised.value.advice[0].text)
    with pytest.raises(InputError, match=r"baseline b\.tflite everything runs in one runtime"):
        BenchmarkOptions(("a.onnx",), runtimes=names, baseline=Path("b.tflite")).cells()


def test_formats():
    np.savez("w.npz", kernel=0)
    options = BenchmarkOptions(("a.onnx", "b.tflite", "saved", "random:0", "w.npz"))
    formats = [entry.format for entry in options.cells()[0]]
    assert formats == ["onnx", "tflite", "savedmodel", "keras", "keras"]


def test_a_file_that_is_not_there():
    with pytest.raises(ArtifactError, match=r"none\.onnx does not exist"):
        BenchmarkOptions(("none.onnx",), device="cuda").cells()
    with pytest.raises(WeightsError, match=r"none\.npz does not exist"):
        BenchmarkOptions(("none.npz",)).cells()


def test_threads_are_physical_cores_where_nothing_is_said(monkeypatch):
    from vggexport.workflows.benchmark import options

    monkeypatch.setattr(options, "physical_cores", lambda: 7)
    assert BenchmarkOptions(("a.onnx",)).cells()[0][0].threads == 7


def test_a_former_artifact_takes_turns_in_front_of_the_others():
    cell = BenchmarkOptions(("a.onnx",), baseline=Path("b.tflite")).cells()[0]
    assert [entry.source for entry in cell] == ["b.tflite", "a.onnx"]
    cell = BenchmarkOptions(("a.onnx",), baseline=Path("base.json")).cells()[0]
    assert [entry.source for entry in cell] == ["a.onnx"]


@pytest.mark.parametrize(
    ("baseline", "is_artifact"),
    [
        ("b.tflite", True),
        ("saved", True),
        ("gone.onnx", True),
        ("weights.npz", True),
        ("random:0", True),
        ("base.json", False),
        ("base.txt", False),
        ("/dev/fd/63", False),  # base.json in a shell's <(...)
    ],
)
def test_what_is_no_artifact_is_a_former_run(baseline, is_artifact):
    options = BenchmarkOptions(("a.onnx",), baseline=Path(baseline))
    assert options.baseline_artifact == (baseline if is_artifact else None)


@pytest.mark.parametrize(
    ("device", "provider", "expected"),
    [
        ("cpu", None, None),
        ("cpu", "CPUExecutionProvider", None),
        ("cpu", "XnnpackExecutionProvider", "XnnpackExecutionProvider"),
        ("cuda", None, CUDA),
        ("cuda", CUDA, CUDA),
    ],
)
def test_the_provider_of_a_device(device, provider, expected):
    options = BenchmarkOptions(("a.onnx", "b.tflite"), device, provider, allow_fallback=True)
    onnx, tflite = options.cells()[0]
    assert onnx.device_provider == expected
    assert onnx.provider_requested == (expected or "CPUExecutionProvider")
    assert tflite.device_provider is None


def test_a_provider_that_is_not_the_devices():
    options = BenchmarkOptions(("a.onnx",), "cuda", "CPUExecutionProvider")
    with pytest.raises(InputError, match="leave out device or provider"):
        options.cells()


@pytest.mark.parametrize("asked", [{"tf32": False}, {"cuda_graph": True}])
def test_what_cuda_alone_has(asked):
    with pytest.raises(InputError, match=r"^CPUExecutionProvider has neither CUDA graphs nor TF32"):
        BenchmarkOptions(("a.onnx",), **asked).cells()
    (entry,) = BenchmarkOptions(("a.onnx",), device="cuda", **asked).cells()[0]
    assert (entry.tf32, entry.cuda_graph) == (asked.get("tf32", True), "cuda_graph" in asked)


@pytest.mark.parametrize(
    ("artifacts", "asked"),
    [
        (("b.tflite", "random:0"), {}),
        (("b.tflite",), {"allow_fallback": True}),
        (("a.onnx",), {"runtimes": ("openvino",)}),
    ],
)
def test_a_provider_that_nothing_is_run_by_is_refused(artifacts, asked):
    with pytest.raises(InputError, match=f"^{CUDA} is ONNX Runtime's, which runs none of "):
        BenchmarkOptions(artifacts, provider=CUDA, **asked).cells()
    former = BenchmarkOptions(("b.tflite",), provider=CUDA, baseline=Path("a.onnx"))
    with pytest.raises(Unavailable):  # the TFLite file does not run on it, the former does
        former.cells()


@pytest.mark.parametrize("asked", [{"device": "cuda"}, {"provider": CUDA}])
def test_a_runtime_without_cuda_is_unavailable(asked):
    with pytest.raises(Unavailable, match=r"b\.tflite does not run on CUDA here"):
        BenchmarkOptions(("a.onnx", "b.tflite"), **asked).cells()


@pytest.mark.parametrize(
    ("value", "ours", "expected"),
    [
        (None, (), {"TF_ENABLE_ONEDNN_OPTS": "1"}),
        ("0", (), {}),  # the user's
        ("0", ("TF_ENABLE_ONEDNN_OPTS",), {"TF_ENABLE_ONEDNN_OPTS": "1"}),
    ],
)
def test_tensorflow_is_measured_as_its_users_have_it(monkeypatch, value, ours, expected):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if value:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
    monkeypatch.setattr(measured_model.lazy_imports, "set_here", lambda: frozenset(ours))
    assert environment_variables() == expected


def test_a_runtime_that_tells_no_layers_time_is_refused_by_name():
    assert BenchmarkOptions(("a.onnx",), layers=True).cells()
    assert BenchmarkOptions(("b.tflite",), runtimes=("openvino",), layers=True).cells()
    with pytest.raises(Unavailable) as raised:
        BenchmarkOptions(("b.tflite",), layers=True).cells()
    assert str(raised.value) == (
        "b.tflite: litert does not tell from Python what a layer takes: measure it with runtime "
        "openvino, or leave out layers"
    )
