"""ONNX Runtime.

A file of ours has one output, the probabilities. Other layers are read from a tapped copy of it:
protobuf merges messages that follow each other (https://protobuf.dev/programming-guides/encoding,
"Last One Wins"), so the file's bytes with a small ModelProto behind them are the same network with
further operators and outputs, and no weight is parsed for it. :data:`READINGS` says what is put
there: what is read must be what ONNX Runtime computes without being watched, bit by bit.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from vggexport.artifact import METADATA_KEY, Artifact
from vggexport.errors import ArtifactError, Unavailable, one_line
from vggexport.formats.onnx.layer_kinds import NCHW_NAME
from vggexport.formats.onnx.variants import QUANTIZED_SUFFIX
from vggexport.formats.runner import Images, Prepared, Runner, as_input
from vggexport.metrics.placement import PlacedNode, nodes_of_profile, reason_not_started
from vggexport.network.layers import (
    INPUT_NAME,
    LOGITS_NAME,
    MEAN_SUBTRACTION_NAME,
    OUTPUT_NAME,
    LayerKind,
)
from vggexport.network.spec import VGGSpec
from vggexport.precision import Precision
from vggexport.system.stderr_capture import captured_stderr

CPU_PROVIDER = "CPUExecutionProvider"
DEVICES: Mapping[str, str] = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "cuda"}
"""ONNX Runtime's names for the memory of providers that have their own."""

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

TAP_SUFFIX = "/tap"
"""Ends the name of an output that an operator of a tapped copy computes."""

_OUTPUT_QUANTIZATION = {
    "QuantizeLinear": slice(1, 3),
    "QLinearConv": slice(6, 8),
    "QGemm": slice(7, 9),
    "DequantizeLinear": slice(0),
}
"""Which inputs of an operator are its output's scale and zero point; others pass theirs on."""

_NHWC_AXES = (0, 2, 3, 1)

EXACT_INT8 = ("session.x64quantprecision", "1")
"""Session option without which int8 answers are wrong on x86-64 CPUs that lack VNNI: their kernels
for uint8 times int8 add pairs of products in 16 bits, which saturates. With it ONNX Runtime
computes uint8 times uint8 there, the same integers in 1.6 times the seconds; where no kernel
saturates it changes nothing (onnxruntime_session_options_config_keys.h)."""


def session_options(threads: int, *, exact_int8: bool = True) -> Any:
    """Options of a quiet session; 0 threads lets ONNX Runtime take one a core."""
    options = onnxruntime.SessionOptions()
    if exact_int8:
        options.add_session_config_entry(*EXACT_INT8)
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
    session, failure, printed = _start(path, options, provider)
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


def _start(path: Path, options: Any, provider: str) -> tuple[Any, Exception | None, str]:
    """A session or what was raised instead, and what was printed meanwhile."""
    session, failure = None, None
    with captured_stderr() as printed:
        try:
            if provider in DEVICES:
                _preload_cuda()
            session = onnxruntime.InferenceSession(
                path,
                options,
                providers=[provider],
                enable_fallback=0,  # it would print, and fall back to the CPU
            )
        except (*RUNTIME_ERRORS, *_PROVIDER_ERRORS) as error:
            failure = error
    return session, failure, f"{printed[0]} {failure or ''}"


def _preload_cuda() -> None:
    """Loads the CUDA libraries that pip installed, which are where the linker does not look.

    What is missing is told by the provider, so what this prints is not shown.
    """
    if hasattr(onnxruntime, "preload_dlls"):  # in onnxruntime-gpu, and in others since 1.21
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()


def write_optimized(path: Path, written: Path, *, exact_int8: bool = True) -> None:
    """Writes a file's graph as ONNX Runtime optimizes it for the CPU, layouts left as they are.

    Args:
        path: The file.
        written: Where to.
        exact_int8: As it computes on this processor (:data:`EXACT_INT8`); False for the graph of
            every processor.

    Raises:
        ArtifactError: ONNX Runtime cannot read the file, or not write the other.
    """
    options = session_options(threads=1, exact_int8=exact_int8)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(written)
    open_session(path, options)


@dataclass(frozen=True, slots=True)
class Reading:
    """How layers are read from the files of one precision.

    Attributes:
        plain: Layers whose own tensor can be an output as it is; None for all.
        operators: Gives for other layers, from the copy and their names, the operators that compute
            ``<layer>/tap`` in it.
        fused: Whether the CPU's copy is made of the optimized graph, since operators that read a
            tensor of the file would keep ONNX Runtime from fusing those around it.
    """

    plain: frozenset[str] | None = None
    operators: Callable[[Path, Sequence[str]], list[onnx.NodeProto]] | None = None
    fused: bool = False

    def output(self, name: str) -> str:
        """Name of the output that a layer has in a tapped copy."""
        return name if self.plain is None or name in self.plain else f"{name}{TAP_SUFFIX}"

    def open_copy(self, path: Path, names: Sequence[str], *, threads: int, provider: str) -> Any:
        """A session on a copy of the file that has the layers as outputs; the copy is gone then.

        Raises:
            ArtifactError: The file is not what its metadata says.
            OSError: There is no room for the copy.
        """
        options = session_options(threads)
        with tempfile.TemporaryDirectory(prefix="vggexport-") as folder:
            copy = Path(folder) / "tapped.onnx"
            if self.fused and provider == CPU_PROVIDER:
                write_optimized(path, copy)
                level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
                options.graph_optimization_level = level
            else:
                shutil.copyfile(path, copy)
            self._add_outputs(copy, names)
            return open_session(copy, options, provider)

    def _add_outputs(self, copy: Path, names: Sequence[str]) -> None:
        outputs = {name: self.output(name) for name in names}
        computed = [name for name, output in outputs.items() if output != name]
        graph = onnx.GraphProto(
            node=self.operators(copy, computed) if self.operators else [],
            output=map(helper.make_empty_tensor_value_info, outputs.values()),
        )
        with copy.open("ab") as file:
            file.write(onnx.ModelProto(graph=graph).SerializeToString())


def _dequantized(copy: Path, names: Sequence[str]) -> list[onnx.NodeProto]:
    """DequantizeLinear behind each layer's integers.

    Raises:
        ArtifactError: The graph has no integers for one of them.
    """
    quantized = _quantized_tensors(onnx.load(copy).graph)
    nodes = []
    for name in names:
        operator = NCHW_NAME if name == MEAN_SUBTRACTION_NAME else name
        inputs = quantized.get(f"{operator}{QUANTIZED_SUFFIX}") or quantized.get(operator)
        if inputs is None:
            raise ArtifactError(f"layer {name} has no integers in the graph")
        nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{name}{TAP_SUFFIX}"]))
    return nodes


def _quantized_tensors(graph: Any) -> dict[str, tuple[str, ...]]:
    """Tensor, scale and zero point of each integer output, by its operator's name.

    ONNX Runtime renames tensors and shares scales as it fuses; operators keep their names.
    """
    parameters: dict[str, tuple[str, ...]] = {}
    tensors = {}
    for node in graph.node:
        if node.op_type in _OUTPUT_QUANTIZATION:
            found = tuple(node.input[_OUTPUT_QUANTIZATION[node.op_type]])
        else:
            found = parameters.get(node.input[0], ()) if node.input else ()
        if found:
            parameters[node.output[0]] = found
            tensors[node.name] = (node.output[0], *found)
    return tensors


READINGS: Mapping[Precision, Reading] = {
    Precision.FLOAT32: Reading(),
    Precision.FLOAT16: Reading(),
    Precision.INT8: Reading(frozenset({LOGITS_NAME, OUTPUT_NAME}), _dequantized, fused=True),
    Precision.INT8_W4: Reading(
        frozenset({"fc1", "fc2", LOGITS_NAME, OUTPUT_NAME}), _dequantized, fused=True
    ),
}
"""By precision; of files in any other, only their own outputs are read."""


@dataclass(frozen=True, slots=True)
class LayerOutput:
    """Where a session has a layer.

    Attributes:
        tensor: The layer whose tensor it is: itself, or the pooling that it flattens.
        output: The session's name for it.
        shape: Of one image's, as the spec has it: HWC or (units,). None for whatever the output of
            a file that is not ours is.
    """

    tensor: str
    output: str
    shape: tuple[int, ...] | None = None

    def value(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """What the session gave, as the caller's own array in the spec's layout."""
        if self.shape is None:
            return np.array(values, np.float32)
        # Of tensors with four axes only the mean subtraction's own is NHWC.
        if values.ndim == len(_NHWC_AXES) and self.output != MEAN_SUBTRACTION_NAME:
            values = values.transpose(_NHWC_AXES)
        return np.array(values.reshape(len(values), *self.shape), np.float32, order="C")


def _layer_outputs(spec: VGGSpec, reading: Reading) -> dict[str, LayerOutput]:
    """By layer name.

    What is flattened is read in front of it: its axes are still known there, and ONNX Runtime,
    which computes float16 files in float32 on the CPU, would round at a Flatten that is an output.
    """
    outputs, tensor = {}, INPUT_NAME
    for layer in spec.layers:
        tensor = tensor if layer.kind is LayerKind.FLATTEN else layer.name
        outputs[layer.name] = LayerOutput(tensor, reading.output(tensor), layer.output_shape)
    return outputs


def _readable(
    artifact: Artifact | None, own: Iterable[str]
) -> tuple[Reading, dict[str, LayerOutput]]:
    """How a file with these outputs is read, and what there is to be read by name."""
    if artifact is None or artifact.precision not in READINGS:
        return Reading(), {name: LayerOutput(name, name) for name in own}
    reading = READINGS[artifact.precision]
    return reading, _layer_outputs(artifact.spec, reading)


def _artifact(session: Any, path: Path) -> Artifact | None:
    """What the file says of itself; None for a file that is not ours."""
    properties = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in properties:
        return None
    return Artifact.from_embedded(properties[METADATA_KEY], path)


class OnnxRunner(Runner):
    """An ``.onnx`` file in ONNX Runtime.

    The first time that layers are asked for, and each time that further ones are, the session is
    replaced by one on a tapped copy of the file: best ask for all of them at once.

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
        self.artifact: Artifact | None = None
        self._path = path
        self._session: Any = None
        self._input_dtype: type[np.generic] = np.float32
        self._own: frozenset[str] = frozenset()
        self._reading = Reading()
        self._layers: Mapping[str, LayerOutput] = {}

    def __enter__(self) -> Self:
        session = self._open()
        inputs, outputs = session.get_inputs(), session.get_outputs()
        names = [value.name for value in (*inputs, *outputs[:1])]
        if names != [INPUT_NAME, OUTPUT_NAME]:
            raise ArtifactError(
                f"{self._path} does not map {INPUT_NAME} to {OUTPUT_NAME}: not made by vggexport"
            )
        self._input_dtype = np.uint8 if "uint8" in inputs[0].type else np.float32
        self._own = frozenset(output.name for output in outputs)
        self.artifact = _artifact(session, self._path)
        self._reading, self._layers = _readable(self.artifact, self._own)
        self._session = session
        return self

    def close(self) -> None:
        """Lets go of the network and its memory."""
        self._session = None

    def _open(self) -> Any:
        return open_session(self._path, session_options(self.threads), self.provider)

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs of layers by the names of the spec, in the order asked for.

        A file without our metadata has its own outputs only, which are given as they are.

        Raises:
            ArtifactError: There is no such layer, its precision or graph is one that no layers are
                read from, or the images do not fit.
            OSError: There is no room for a copy of the file in the folder for temporary files.
        """
        wanted = list(names)
        if not wanted:
            return {}  # ONNX Runtime would take it for all
        if unknown := [name for name in wanted if name not in self._layers]:
            raise ArtifactError(
                f"{self._path} has no layer {', '.join(unknown)} that can be read: it has "
                f"{', '.join(self._layers)}"
            )
        layers = {name: self._layers[name] for name in wanted}
        outputs = list(dict.fromkeys(layer.output for layer in layers.values()))
        self._add_outputs(outputs)
        values = self._run(images, outputs)
        return {name: layer.value(values[layer.output]) for name, layer in layers.items()}

    def prepare(self, images: Images) -> Prepared:
        """``session.run``; on a device the same with input and output bound there."""
        pixels = as_input(images, self._input_dtype)
        shape = self._session.get_inputs()[0].shape  # a free dimension is a name
        pairs = zip(shape, pixels.shape, strict=False)
        if len(shape) != pixels.ndim or any(w != g for w, g in pairs if isinstance(w, int)):
            raise self._does_not_run(images, f"it takes ({', '.join(map(str, shape))})")
        if device := DEVICES.get(self._session.get_providers()[0]):
            return bound_to(self._session, device, pixels)
        run = partial(self._session.run, [OUTPUT_NAME], {INPUT_NAME: pixels})
        return Prepared(run, lambda: np.array(run()[0], np.float32))

    def placed_nodes(self, images: Images) -> tuple[PlacedNode, ...]:
        """Every node with its execution provider, from the profile of a session of its own."""
        options = session_options(self.threads)
        options.enable_profiling = True
        with tempfile.TemporaryDirectory(prefix="vggexport-") as folder:
            options.profile_file_prefix = str(Path(folder) / "profile")
            session = open_session(self._path, options, self.provider)
            session.run([OUTPUT_NAME], {INPUT_NAME: as_input(images, self._input_dtype)})
            profile = Path(session.end_profiling())
            return nodes_of_profile(json.loads(profile.read_text(encoding="utf-8")))

    def provider_options(self) -> dict[str, str]:
        """ONNX Runtime's, of the provider that was asked for."""
        options: dict[str, str] = self._session.get_provider_options()[self.provider]
        return options

    def _add_outputs(self, outputs: Iterable[str]) -> None:
        """Makes sure that the session has them, beside those that were asked for before."""
        given = {output.name for output in self._session.get_outputs()}
        if given.issuperset(outputs):
            return
        added = given.union(outputs) - self._own
        taps = {layer.output: layer.tensor for layer in self._layers.values()}
        self._tap([tensor for output, tensor in taps.items() if output in added])

    def _tap(self, names: Sequence[str]) -> None:
        """Replaces the session by one that has the tensors of further layers as outputs."""
        self._session = None  # there is never more than one network in memory
        try:
            self._session = self._reading.open_copy(
                self._path, names, threads=self.threads, provider=self.provider
            )
        except ArtifactError as error:
            raise ArtifactError(
                f"{self._path} does not let {', '.join(names)} be read: {error}"
            ) from error
        finally:
            if self._session is None:
                self._session = self._open()

    def _run(self, images: Images, outputs: list[str]) -> dict[str, NDArray[Any]]:
        """Values of the session's outputs by their names."""
        pixels = as_input(images, self._input_dtype)
        try:
            values = self._session.run(outputs, {INPUT_NAME: pixels})
        except RUNTIME_ERRORS as error:
            raise self._does_not_run(images, one_line(error)) from error
        return dict(zip(outputs, values, strict=True))

    def _does_not_run(self, images: Images, reason: str) -> ArtifactError:
        return ArtifactError(
            f"{self._path} does not run on images of shape {images.shape}: {reason}"
        )


def bound_to(session: Any, device: str, pixels: NDArray[Any]) -> Prepared:
    """Runs with input and output in a device's memory, and the copies to and from it apart.

    Args:
        session: On that device.
        device: ONNX Runtime's name of its memory.
        pixels: The input as the session takes it.
    """
    binding = session.io_binding()
    there = onnxruntime.OrtValue.ortvalue_from_numpy(pixels, device, 0)
    binding.bind_ortvalue_input(INPUT_NAME, there)
    binding.bind_output(OUTPUT_NAME, device, 0)

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    def transfer() -> None:
        there.update_inplace(pixels)
        binding.synchronize_inputs()
        binding.copy_outputs_to_cpu()

    def probabilities() -> NDArray[np.float32]:
        run()
        return np.array(binding.copy_outputs_to_cpu()[0], np.float32)

    return Prepared(run, probabilities, transfer)
