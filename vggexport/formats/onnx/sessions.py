"""Sessions of ONNX Runtime, and what it says where there is none."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from vggexport.errors import ArtifactError, Unavailable, one_line
from vggexport.formats.foreign import scores
from vggexport.formats.onnx import qualcomm
from vggexport.formats.runner import Prepared
from vggexport.metrics.placement import CPU_PROVIDER, QNN_PROVIDER, reason_not_started
from vggexport.network.ends import Ends
from vggexport.system.process import limited_threads
from vggexport.system.stderr_capture import captured_stderr, silenced_stdout

DEVICES: Mapping[str, str] = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "cuda"}
"""ONNX Runtime's names for the memory of providers that have their own."""

CUDA_GRAPH = "enable_cuda_graph"
"""CUDA's option of a run that is recorded once and repeated, its kernels launched together. Input
and output then stay at one address."""

_OUTPUT_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}

_ERRORS_ONLY = 3

RUNTIME_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.ModelLoadCanceled,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    UnicodeDecodeError,  # its own message quotes a broken file's bytes
)
"""What ONNX Runtime raises about a file or an input; they share no base class of their own."""

_PROVIDER_ERRORS = (RuntimeError, ort_errors.EPFail)
"""What it raises about an execution provider that does not start."""

EXACT_INT8 = (("session.x64quantprecision", "1"), ("session.qdq_matmulnbits_accuracy_level", "1"))
"""Session options without which int8 answers are not what the file's numbers say.

On x86-64 CPUs that lack VNNI kernels for uint8 times int8 add pairs of products in 16 bits, which
saturates; with the first ONNX Runtime computes uint8 times uint8 there, the same integers in 1.6
times the seconds, and where no kernel saturates it changes nothing. Without the second it rounds
what a fully connected layer reads to int8, block by block, where only its weights are int8: 43 dB
on a file with 16-bit activations (onnxruntime_session_options_config_keys.h).
"""


def session_options(threads: int, *, exact_int8: bool = True) -> Any:
    """Options of a quiet session; 0 threads are one a core, as far as a quota allows."""
    options = onnxruntime.SessionOptions()
    for name, value in EXACT_INT8 if exact_int8 else ():
        options.add_session_config_entry(name, value)
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads or limited_threads()
    return options


def open_session(
    path: Path,
    options: Any,
    provider: str = CPU_PROVIDER,
    provider_options: Mapping[str, str] | None = None,
) -> Any:
    """A session on a model file.

    ONNX Runtime falls back to the CPU with a log line only, so what it really took is compared with
    what was asked for.

    Raises:
        ArtifactError: ONNX Runtime cannot read the file.
        Unavailable: The execution provider is not to be had here.
    """
    if provider == QNN_PROVIDER:
        qualcomm.load()
    if provider not in (offered := onnxruntime.get_available_providers()):
        raise Unavailable(
            f"execution provider {provider} is not in this onnxruntime, which offers "
            f"{', '.join(offered)}: for CUDA, pip uninstall onnxruntime, then pip install "
            "'vggexport[gpu]', whose onnxruntime-gpu stands instead of it"
        )
    if path.is_file() and not path.stat().st_size:
        raise ArtifactError(f"{path} is not a model but empty: export it again, or fetch it whole")
    session, failure, printed = _start(path, options, (provider, dict(provider_options or {})))
    qualcomm.check_whole(path, printed)
    reason = reason_not_started(printed)
    if isinstance(failure, RUNTIME_ERRORS) and not (reason and provider != CPU_PROVIDER):
        raise ArtifactError(
            f"{path} is not a model that ONNX Runtime reads: {one_line(failure)}"
        ) from failure
    if failure or provider not in session.get_providers():
        said = reason or (one_line(failure) if failure else "ONNX Runtime does not say why")
        raise Unavailable(
            f"execution provider {provider} did not start: {said}; check the driver and the "
            "provider's libraries"
        ) from failure
    return session


def _start(
    path: Path, options: Any, provider: tuple[str, dict[str, str]]
) -> tuple[Any, Exception | None, str]:
    """A session or what was raised instead, and what was printed meanwhile."""
    session, failure = None, None
    plugin = provider[0] == QNN_PROVIDER  # whose compiler writes to standard output, too
    with captured_stderr() as printed, silenced_stdout() if plugin else contextlib.nullcontext():
        try:
            if provider[0] in DEVICES:
                _preload_cuda()
            if plugin:
                qualcomm.use(options, provider[1])
            session = onnxruntime.InferenceSession(
                path,
                options,
                providers=None if plugin else [provider],
                enable_fallback=0,  # it would print, and fall back to the CPU
            )
        except (*RUNTIME_ERRORS, *_PROVIDER_ERRORS) as error:
            failure = error
    said = printed[0].decode(errors="replace")
    return session, failure, f"{said} {failure or ''}"


def _preload_cuda() -> None:
    """Loads the CUDA libraries that pip installed, which are where the linker does not look.

    What is missing is told by the provider, so what this prints is not shown.
    """
    if hasattr(onnxruntime, "preload_dlls"):  # in onnxruntime-gpu, and in others since 1.21
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()


def write_optimized(path: Path, written: Path, *, exact_int8: bool = True) -> None:
    """Writes a file's graph as ONNX Runtime optimizes it for the CPU, layouts left as they are.

    With ``exact_int8`` it is the graph that computes here (:data:`EXACT_INT8`), else that of every
    processor.

    Raises:
        ArtifactError: ONNX Runtime cannot read the file.
        OSError: There is no room for the other, which it calls a fault of the file.
    """
    options = session_options(threads=1, exact_int8=exact_int8)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(written)
    try:
        open_session(path, options)
    except ArtifactError as error:
        if shutil.disk_usage(written.parent).free < path.stat().st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(written)) from error
        raise


def bound_to(session: Any, device: str, pixels: NDArray[Any], ends: Ends) -> Prepared:
    """Runs with input and output in a device's memory, and the copies to and from it apart.

    ``ends`` are the names of its input and output, and what the output means.
    """
    binding = session.io_binding()
    there = onnxruntime.OrtValue.ortvalue_from_numpy(pixels, device, 0)
    binding.bind_ortvalue_input(ends.input, there)
    _bind_output(session, binding, device, (len(pixels), ends.classes))

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    def transfer() -> None:
        there.update_inplace(pixels)
        binding.synchronize_inputs()
        binding.copy_outputs_to_cpu()

    def probabilities() -> NDArray[np.float32]:
        run()
        return scores(binding.copy_outputs_to_cpu()[0], ends)

    return Prepared(run, probabilities, transfer)


def _bind_output(session: Any, binding: Any, device: str, shape: tuple[int, int]) -> None:
    """To memory that is taken in each run, or once where the run is recorded."""
    output = session.get_outputs()[0]
    provider = session.get_providers()[0]
    if session.get_provider_options()[provider].get(CUDA_GRAPH, "0") == "0":
        binding.bind_output(output.name, device, 0)
        return
    place = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
        shape, _OUTPUT_TYPES[output.type], device, 0
    )
    binding.bind_ortvalue_output(output.name, place)
