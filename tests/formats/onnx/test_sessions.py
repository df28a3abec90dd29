"""Sessions of ONNX Runtime: providers that start or do not, and what is bound to a device."""

import os
import sys

import numpy as np
import onnxruntime
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from vggexport.errors import ArtifactError, Unavailable
from vggexport.formats.onnx import sessions
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.formats.onnx.sessions import bound_to
from vggexport.formats.runner import ends_of
from vggexport.metrics.placement import CPU_PROVIDER


def test_it_says_what_really_runs(export):
    with OnnxRunner(export(), threads=1) as runner:
        assert runner.runtime == f"onnxruntime {onnxruntime.__version__}"
        assert runner.provider == "CPUExecutionProvider"
        assert runner.threads == 1
        assert runner._session.get_session_options().intra_op_num_threads == 1


def test_sessions_do_not_saturate_where_there_is_no_vnni(export):
    """What ONNX Runtime computes then is told by test_int8's arithmetic, on whatever runs it."""
    with OnnxRunner(export("int8")) as runner:
        options = runner._session.get_session_options()
        assert options.get_session_config_entry("session.x64quantprecision") == "1"


def test_the_session_is_released_when_it_is_left_even_by_an_error(export):
    runner = OnnxRunner(export())
    with pytest.raises(RuntimeError, match="inside"), runner:
        raise RuntimeError("inside")
    assert runner._session is None


def test_a_provider_that_is_not_there_is_unavailable(export):
    with (
        pytest.raises(Unavailable, match="NoExecutionProvider is not in this onnxruntime"),
        OnnxRunner(export(), provider="NoExecutionProvider"),
    ):
        pass


@pytest.fixture
def cuda_starts(monkeypatch):
    """Makes sessions that are asked for CUDA do something else, as with onnxruntime-gpu."""

    def install(start):
        providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        real = onnxruntime.InferenceSession
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
        monkeypatch.setattr(
            onnxruntime,
            "InferenceSession",
            lambda path, options, **_kwargs: (
                start() or real(path, options, providers=["CPUExecutionProvider"])
            ),
        )

    return install


def open_on_cuda(path) -> None:
    with OnnxRunner(path, provider="CUDAExecutionProvider"):
        pass


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (b"", "ONNX Runtime does not say why"),
        (b"error: libcudart.so.12: cannot open shared object file", "library libcudart.so.12 is"),
    ],
)
def test_a_silent_fall_back_to_the_cpu_is_unavailable(export, cuda_starts, capfd, printed, reason):
    """What onnxruntime-gpu does where libraries are missing: a session on the CPU, and a line."""
    cuda_starts(lambda: os.write(2, printed) and None)
    with pytest.raises(Unavailable, match=f"CUDAExecutionProvider did not start: {reason}"):
        open_on_cuda(export())
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", [RuntimeError, ort_errors.Fail, ort_errors.EPFail])
def test_a_provider_without_a_device_is_unavailable(export, cuda_starts, kind):
    def start():
        raise kind("CUDA failure 100: no CUDA-capable device is detected")

    cuda_starts(start)
    with pytest.raises(Unavailable, match="did not start: there is no device"):
        open_on_cuda(export())


def test_a_provider_that_fails_for_another_reason_is_unavailable(export, cuda_starts):
    def start():
        raise RuntimeError("cuDNN is unwell\ntoday")

    cuda_starts(start)
    with pytest.raises(Unavailable, match="did not start: cuDNN is unwell today;"):
        open_on_cuda(export())


def test_a_network_that_cannot_be_recorded_is_not_a_broken_file(export, cuda_starts):
    def start():
        raise ort_errors.Fail("This session cannot use the graph capture feature as requested")

    cuda_starts(start)
    with pytest.raises(Unavailable, match="not all of the network runs there, as a CUDA graph"):
        open_on_cuda(export())


def test_a_file_that_cannot_be_read_is_not_the_providers_fault(export, cuda_starts):
    def start():
        raise ort_errors.InvalidProtobuf("Protobuf parsing failed")

    cuda_starts(start)
    with pytest.raises(ArtifactError, match="not a model that ONNX Runtime reads"):
        open_on_cuda(export())


def test_an_empty_file_is_told(tmp_path, cuda_starts):
    cuda_starts(lambda: None)
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ArtifactError, match=r"empty\.onnx is not a model but empty: export it"):
        open_on_cuda(tmp_path / "empty.onnx")


def test_cuda_libraries_that_pip_installed_are_loaded_first(export, cuda_starts, monkeypatch):
    calls = []
    monkeypatch.setattr(
        onnxruntime, "preload_dlls", lambda: sys.stdout.write("missing\n") and calls.append("load")
    )
    cuda_starts(lambda: calls.append("start"))
    with pytest.raises(Unavailable):
        open_on_cuda(export())
    assert calls == ["load", "start"]


def test_a_device_has_input_and_output_bound(export, images):
    """On the CPU's own memory: the calls are those for CUDA."""
    with OnnxRunner(export("int8")) as runner:
        expected = runner.predict(images)
        prepared = bound_to(
            runner._session, "cpu", images.astype(np.float32), ends_of(runner.artifact)
        )
        prepared.run()
        np.testing.assert_array_equal(prepared.probabilities(), expected)
        prepared.transfer()
        np.testing.assert_array_equal(prepared.probabilities(), expected)


class RecordsRuns:
    """A session on the CPU that says of itself that it records a CUDA graph."""

    def __init__(self, session):
        self._session = session

    def __getattr__(self, name):
        return getattr(self._session, name)

    def get_provider_options(self):
        return {CPU_PROVIDER: {sessions.CUDA_GRAPH: "1"}}


def test_a_run_that_is_recorded_writes_to_one_address(export, images):
    with OnnxRunner(export("int8")) as runner:
        expected = runner.predict(images)
        session, bound = RecordsRuns(runner._session), []
        binding = runner._session.io_binding()
        session.io_binding = lambda: binding
        pixels = images.astype(np.float32)
        prepared = bound_to(session, "cpu", pixels, ends_of(runner.artifact))
        for _ in range(2):
            np.testing.assert_array_equal(prepared.probabilities(), expected)
            bound.append(binding.get_outputs()[0].data_ptr())
    assert bound[0] == bound[1]


def test_options_of_the_provider_reach_every_session(export, images, monkeypatch):
    """The file's, the tapped copy's, and without a recorded run the profile's."""
    asked, real = [], onnxruntime.InferenceSession

    def session(path, options, providers, **_kwargs):
        asked.append(providers)
        return real(path, options, providers=[CPU_PROVIDER])

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    options = {"arena_extend_strategy": "kSameAsRequested"}
    with OnnxRunner(export(), provider_options=options | {sessions.CUDA_GRAPH: "1"}) as runner:
        runner.placed_nodes(images)
        runner.activations(images, ["block1_pool"])
    recorded = (CPU_PROVIDER, options | {sessions.CUDA_GRAPH: "1"})
    assert asked == [[recorded], [(CPU_PROVIDER, options)], [recorded]]


def test_a_session_on_a_device_is_prepared_there(export, images, monkeypatch):
    monkeypatch.setattr(sessions, "DEVICES", {"CPUExecutionProvider": "cpu"})
    with OnnxRunner(export()) as runner:
        prepared = runner.prepare(images)
        assert prepared.transfer is not None
        np.testing.assert_array_equal(prepared.probabilities(), runner.predict(images))
