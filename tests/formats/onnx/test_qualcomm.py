"""Qualcomm's execution provider, by stand-ins: its package is installed nowhere here."""

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from vggexport.errors import Unavailable
from vggexport.formats.onnx import qualcomm, sessions
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.formats.onnx.sessions import ort_errors
from vggexport.metrics.parity import softmax
from vggexport.metrics.placement import CPU_PROVIDER, QNN_PROVIDER
from vggexport.network.layers import LOGITS_NAME, OUTPUT_NAME

KIND = onnxruntime.OrtHardwareDeviceType
CPU_FALLBACK = (
    "This session contains graph nodes that are assigned to the default CPU EP, but fallback to "
    "CPU EP has been explicitly disabled by the user."
)
LEFT = (
    "Unsupported nodes in QNN EP: { name: predictions, type: Gemm } "
    "{ name: probabilities, type: Softmax }"
)


class Options:
    """Session options that remember what they were told."""

    def __init__(self):
        self.entries = {}
        self.devices = []

    def add_session_config_entry(self, name, value):
        self.entries[name] = value

    def add_provider_for_devices(self, devices, options):
        self.devices.append(([found.device.type for found in devices], options))


def device(name, kind):
    return SimpleNamespace(ep_name=name, device=SimpleNamespace(type=kind))


@pytest.fixture
def registered(monkeypatch):
    """The package, and what was registered of it."""
    package, found = ModuleType(qualcomm.PACKAGE), []
    package.get_library_path = lambda: "libqnn.so"
    package.get_qnn_htp_path = lambda: "libQnnHtp.so"
    monkeypatch.setitem(sys.modules, qualcomm.PACKAGE, package)
    real = onnxruntime.get_available_providers()
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: [*real, *(name for name, _ in found)]
    )
    monkeypatch.setattr(
        onnxruntime, "register_execution_provider_library", lambda *named: found.append(named)
    )
    return found


def test_its_package_is_registered_once(registered):
    qualcomm.load()
    qualcomm.load()
    assert registered == [(QNN_PROVIDER, "libqnn.so")]


def test_without_its_package_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, qualcomm.PACKAGE, None)
    with (
        pytest.raises(Unavailable, match=r"not installed: pip install 'vggexport\[qnn\]'$"),
        OnnxRunner(tmp_path / "a.onnx", provider=QNN_PROVIDER),
    ):
        pass


@pytest.mark.parametrize(
    ("kinds", "chosen", "processor"),
    [((KIND.CPU,), KIND.CPU, qualcomm.EMULATED), ((KIND.CPU, KIND.NPU), KIND.NPU, {})],
)
@pytest.mark.usefixtures("registered")
def test_an_npu_comes_before_its_emulator_and_nothing_else_computes(
    monkeypatch, kinds, chosen, processor
):
    there = [device("CPUExecutionProvider", KIND.CPU)]
    there += [device(QNN_PROVIDER, kind) for kind in kinds]
    monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: there)
    options = Options()
    qualcomm.use(options, {"vtcm_mb": "8"})
    assert options.entries == {"session.disable_cpu_ep_fallback": "1"}
    own = {"backend_path": "libQnnHtp.so"} | processor | {"vtcm_mb": "8"}
    assert options.devices == [([chosen], own)]


@pytest.mark.parametrize(
    ("printed", "left"),
    [
        (LEFT + CPU_FALLBACK, r"predictions \(Gemm\), probabilities \(Softmax\)"),
        (CPU_FALLBACK, "all operators, as of every file that takes any number of images"),
    ],
)
@pytest.mark.usefixtures("registered")
def test_operators_that_would_stay_on_the_cpu_are_named(monkeypatch, tmp_path, printed, left):
    def session(*_arguments, **_options):
        os.write(2, printed.encode())
        raise ort_errors.Fail(CPU_FALLBACK)

    monkeypatch.setattr(qualcomm, "use", lambda *_given: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    path = tmp_path / "a.onnx"
    with (
        pytest.raises(
            Unavailable, match=f"would run on the CPU: {left}: write it with onnx target snap"
        ),
        OnnxRunner(path, provider=QNN_PROVIDER),
    ):
        pass


@pytest.mark.usefixtures("registered")
def test_what_it_says_else_is_no_fallback(tmp_path):
    qualcomm.check_whole(tmp_path, LEFT)


def test_the_npus_logits_are_read_and_not_its_softmax(registered, monkeypatch, export, images):
    """Which has half precision there: a probability of 0 says nothing of a logit."""
    real, outputs = sessions.open_session, []

    def on_cpu(path, options, _provider, provider_options):
        session = real(path, options, CPU_PROVIDER, provider_options)
        outputs.append([output.name for output in session.get_outputs()])
        return session

    with OnnxRunner(export("int8")) as runner:
        expected = runner.activations(images, [LOGITS_NAME, OUTPUT_NAME])
    monkeypatch.setattr(sessions, "open_session", on_cpu)
    with OnnxRunner(export("int8"), provider=QNN_PROVIDER) as runner:
        assert np.allclose(runner.predict(images), expected[OUTPUT_NAME], atol=1e-6)
        found = runner.activations(images, [OUTPUT_NAME, LOGITS_NAME])
    assert np.array_equal(found[LOGITS_NAME], expected[LOGITS_NAME])
    assert np.array_equal(found[OUTPUT_NAME], softmax(expected[LOGITS_NAME]))
    assert LOGITS_NAME in outputs[-1]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("printed", "message"),
    [
        (LEFT, r"would run on the CPU: predictions \(Gemm\), probabilities \(Softmax\)"),
        (None, "Qualcomm's compiler does not take a.onnx: no memory"),
    ],
)
def test_a_file_that_is_not_compiled_is_told_why(monkeypatch, tmp_path, printed, message):
    class Compiler:
        def __init__(self, _options, path, *, embed_compiled_data_into_model):
            assert (path, embed_compiled_data_into_model) == ("a.onnx", True)

        def compile_to_file(self, _written):
            os.write(2, (printed or "").encode())
            raise ort_errors.Fail(CPU_FALLBACK if printed else "no memory")

    monkeypatch.setattr(qualcomm, "use", lambda *_given: None)
    monkeypatch.setattr(onnxruntime, "ModelCompiler", Compiler)
    with pytest.raises(Unavailable, match=message):
        qualcomm.compile_context(Path("a.onnx"), tmp_path / "a_ctx.onnx")
