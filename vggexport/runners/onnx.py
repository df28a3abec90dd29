"""ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from vggexport.errors import ArtifactError, Unavailable
from vggexport.runners.interface import Images, Runner
from vggexport.spec import INPUT_NAME, OUTPUT_NAME

CPU_PROVIDER = "CPUExecutionProvider"
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
)
"""What ONNX Runtime raises about a file or an input; they share no base class of their own."""


def session_options(threads: int) -> Any:
    """Options of a quiet session; 0 threads lets ONNX Runtime take one a core."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    return options


def open_session(path: Path, options: Any, provider: str = CPU_PROVIDER) -> Any:
    """A session on a model file.

    ONNX Runtime falls back to the CPU with a log line only, so what it really took is compared with
    what was asked for.

    Raises:
        ArtifactError: ONNX Runtime cannot read the file.
        Unavailable: The execution provider is not to be had here.
    """
    if provider not in (offered := onnxruntime.get_available_providers()):
        raise Unavailable(
            f"execution provider {provider} is not in this onnxruntime, which offers "
            f"{', '.join(offered)}: for CUDA, pip install 'vggexport[gpu]'"
        )
    try:
        session = onnxruntime.InferenceSession(path, options, providers=[provider])
    except RUNTIME_ERRORS as error:
        raise ArtifactError(
            f"{path} is not a model that ONNX Runtime reads: {_one_line(error)}"
        ) from error
    if provider not in (taken := session.get_providers()):
        raise Unavailable(
            f"execution provider {provider} did not start and ONNX Runtime fell back to "
            f"{', '.join(taken)}: check the driver and the provider's libraries"
        )
    return session


class OnnxRunner(Runner):
    """An ``.onnx`` file in ONNX Runtime.

    Args:
        path: The file.
        threads: Threads inside an operator; 0 for one a core.
        provider: Execution provider, by ONNX Runtime's name.

    Raises:
        ArtifactError: ONNX Runtime cannot read the file, or it is not one of ours.
        Unavailable: The execution provider is not to be had here.
    """

    def __init__(self, path: Path, *, threads: int = 0, provider: str = CPU_PROVIDER) -> None:
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        self.provider = provider
        self.threads = threads
        self._path = path
        self._session: Any = None
        self._input_dtype: type[np.generic] = np.float32

    def __enter__(self) -> Self:
        self._session = open_session(self._path, session_options(self.threads), self.provider)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if [i.name for i in inputs] != [INPUT_NAME] or outputs[0].name != OUTPUT_NAME:
            raise ArtifactError(
                f"{self._path} does not map {INPUT_NAME} to {OUTPUT_NAME}: not made by vggexport"
            )
        self._input_dtype = np.uint8 if "uint8" in inputs[0].type else np.float32
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session = None

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name, as far as the file has them; NCHW before the flattening.

        A file has ``probabilities``, and the layers that it was exported with taps for.
        """
        wanted = list(names)
        if not wanted:
            return {}  # ONNX Runtime would take it for all
        if self._input_dtype is np.uint8:
            images = np.rint(images)  # pixels as float32 are whole numbers, or nearly so
        try:
            values = self._session.run(wanted, {INPUT_NAME: images.astype(self._input_dtype)})
        except RUNTIME_ERRORS as error:
            raise ArtifactError(
                f"{self._path} does not run on images of shape {images.shape}: {_one_line(error)}"
            ) from error
        return dict(zip(wanted, values, strict=True))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
