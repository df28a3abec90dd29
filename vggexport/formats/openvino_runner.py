"""OpenVINO, a second runtime of ONNX and TFLite files, on the CPUs of x86-64 and ARM.

It reads both formats itself. Where a file says what it is, and where its layers are read, is told
by a subclass in the format's own room.
"""

from __future__ import annotations

import statistics
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import openvino
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError, one_line
from vggexport.formats.foreign import feed, scores
from vggexport.formats.runner import Images, Prepared, Runner, check_ends, does_not_run, ends_of
from vggexport.metrics.layer_times import NodeTime
from vggexport.network.ends import Ends
from vggexport.network.layers import INPUT_NAME, OUTPUT_NAME
from vggexport.system.process import limited_threads

PROVIDER = "CPU"
_MS_PER_S = 1000

_PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}
"""Without it OpenVINO computes float32 files in bfloat16 where a processor has it, and says nothing
(https://docs.openvino.ai, "Precision Control")."""


class ReadableLayer(Protocol):
    """Where a layer is read: a tensor of the file, and how its value is brought to the spec's."""

    @property
    def tensor(self) -> str:
        """Its name in the file."""
        ...

    def value(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """The tensor's value as the spec has it."""
        ...


class OpenVinoRunner(Runner):
    """A file in OpenVINO, on the CPU; what is float in it is computed in float32.

    On processors without VNNI its int8 kernels add in 16 bits, which saturates, and it has no
    setting for others: ``verify`` shows what comes of it. With 0 threads OpenVINO chooses.

    Raises:
        ArtifactError: On entering: OpenVINO cannot read the file, or it is not one of ours.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        self.runtime = f"openvino {openvino.__version__.partition('-')[0]}"
        self.provider = PROVIDER
        self.threads = threads
        self.artifact: Artifact | None = None
        self._path = path
        self._request: Any = None
        self._layers: Mapping[str, ReadableLayer] = {}
        self._read: frozenset[str] = frozenset()
        self._ends: Ends
        self._source = INPUT_NAME
        self._output = OUTPUT_NAME

    def __enter__(self) -> Self:
        self.artifact, self._layers = self.describe(self._path)
        self._ends = ends_of(self.artifact)
        self._open(frozenset())
        return self

    def close(self) -> None:
        """Lets go of the network and its memory."""
        self._request = None

    @abstractmethod
    def describe(self, path: Path) -> tuple[Artifact, Mapping[str, ReadableLayer]]:
        """What the file says of itself, and its layers that can be read, by name.

        Raises:
            ArtifactError: It cannot be read.
        """

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs of layers by their names; the network is opened anew for further ones.

        Raises:
            ArtifactError: There is no such layer, the file's precision is one that no layers are
                read from, or the images do not fit.
        """
        wanted = list(names)
        if not wanted:
            return {}
        layers = {name: self._layer(name) for name in wanted if name != OUTPUT_NAME}
        if not self._read.issuperset(tensors := {layer.tensor for layer in layers.values()}):
            self._open(tensors)
        self._fill(images)
        self._request.infer()
        return {
            name: layers[name].value(self._value(layers[name].tensor))
            if name in layers
            else self._probabilities()
            for name in wanted
        }

    def prepare(self, images: Images) -> Prepared:
        """``InferRequest.infer`` on images that are in the input tensor already."""
        self._fill(images)
        request = self._request

        def probabilities() -> NDArray[np.float32]:
            request.infer()
            return self._probabilities()

        return Prepared(request.infer, probabilities)

    def node_times(self, images: Images, runs: int) -> tuple[NodeTime, ...]:
        """Medians of OpenVINO's performance counters, on a network compiled to have them.

        After this the runner keeps that network: it is for runs that are not timed otherwise.
        """
        self._open(self._read, {"PERF_COUNT": True})
        self._fill(images)
        self._request.infer()  # not counted
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(runs):
            self._request.infer()
            for node in self._request.get_profiling_info():
                if node.status == openvino.ProfilingInfo.Status.EXECUTED:
                    ms = node.real_time.total_seconds() * _MS_PER_S
                    times.setdefault((node.node_name, node.node_type), []).append(ms)
        return tuple(NodeTime(*key, statistics.median(found)) for key, found in times.items())

    def provider_options(self) -> dict[str, str]:
        """The precision in which OpenVINO computes what is float."""
        model = self._request.get_compiled_model()
        return {name: str(model.get_property(name).to_string()) for name in _PRECISION}

    def _layer(self, name: str) -> ReadableLayer:
        if name in self._layers:
            return self._layers[name]
        raise ArtifactError(
            f"{self._path} has no layer {name} that OpenVINO lets be read: it has "
            f"{', '.join(self._layers) or 'none, which only float ONNX files have'}"
        )

    def _open(self, tensors: Set[str], further: Mapping[str, Any] | None = None) -> None:
        """Compiles the file, with these tensors among its outputs, and further settings."""
        self._request = None  # there is never more than one network in memory
        settings: dict[str, Any] = {**_PRECISION, **(further or {})}
        if threads := self.threads or limited_threads():
            settings["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        try:
            model = core.read_model(self._path)
            self._check(model)
            if tensors:
                model.add_outputs(sorted(tensors))
            compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise ArtifactError(f"OpenVINO cannot run {self._path}: {one_line(error)}") from error
        self._request, self._read = compiled.create_infer_request(), frozenset(tensors)

    def _check(self, model: Any) -> None:
        """Finds its input and output, which are ours or those of another converter."""
        names = [port.get_any_name() for port in (*model.inputs, *model.outputs)]
        if not (self.artifact and self.artifact.foreign):
            check_ends(self._path, names)
        if self._ends.quantization or not model.outputs[0].element_type.is_real():
            raise ArtifactError(
                f"{self._path} takes or gives integers that stand for other numbers, which is not "
                "run in OpenVINO here: leave the runtime to its format"
            )
        self._source, self._output = names[0], names[-1]

    def _fill(self, images: Images) -> None:
        """Puts the images into the input tensor, which gets their number."""
        port = self._request.get_compiled_model().input(self._source)
        pixels = feed(images, self._ends)
        if not port.partial_shape.compatible(openvino.PartialShape(list(pixels.shape))):
            raise does_not_run(self._path, images, f"it takes {port.partial_shape}")
        self._request.set_tensor(self._source, openvino.Tensor(pixels))

    def _value(self, tensor: str) -> NDArray[Any]:
        values: NDArray[Any] = self._request.get_tensor(tensor).data
        return values

    def _probabilities(self) -> NDArray[np.float32]:
        return scores(self._value(self._output), self._ends)
