"""Copies of a file that give its layers beside the probabilities.

Protobuf merges messages that follow each other (https://protobuf.dev/programming-guides/encoding,
"Last One Wins"), so the file's bytes with a small ModelProto after them are the same network with
further operators and outputs, and no weight is parsed for it. :data:`READINGS` says what is put
there: what is read must be what ONNX Runtime computes without being watched, bit by bit.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError
from vggexport.formats.onnx import sessions
from vggexport.formats.onnx.layer_kinds import NCHW_NAME
from vggexport.formats.onnx.variants import QUANTIZED_SUFFIX
from vggexport.metrics.placement import CPU_PROVIDER
from vggexport.network.layers import (
    INPUT_NAME,
    LOGITS_NAME,
    MEAN_SUBTRACTION_NAME,
    OUTPUT_NAME,
    LayerKind,
)
from vggexport.network.spec import VGGSpec
from vggexport.precision import Precision
from vggexport.system.output_files import temporary_folder

TAP_SUFFIX = "/tap"
"""Ends the name of an output that an operator of a tapped copy computes."""

_OUTPUT_QUANTIZATION = {
    "QuantizeLinear": slice(1, 3),
    "QLinearConv": slice(6, 8),
    "QGemm": slice(7, 9),
    "DequantizeLinear": slice(0),
}
"""Which inputs of an operator are its output's scale and zero point."""
_OF_ONE_INPUT = slice(3, 5)
"""Of other QLinear operators; all others pass theirs on."""

_NHWC_AXES = (0, 2, 3, 1)


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

    def open_copy(
        self,
        path: Path,
        names: Sequence[str],
        *,
        threads: int,
        provider: str,
        provider_options: Mapping[str, str] | None = None,
    ) -> Any:
        """A session on a copy of the file that has the layers as outputs; the copy is gone then.

        Raises:
            ArtifactError: The file is not what its metadata says.
            Unfinished: There is no room for the copy.
        """
        options = sessions.session_options(threads)
        with temporary_folder() as folder:
            copy = folder / "tapped.onnx"
            if self.fused and provider == CPU_PROVIDER:
                sessions.write_optimized(path, copy)
                level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
                options.graph_optimization_level = level
            else:
                shutil.copyfile(path, copy)
            self._add_outputs(copy, names)
            return sessions.open_session(copy, options, provider, provider_options)

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
    """DequantizeLinear after each layer's integers."""
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
        if node.op_type in _OUTPUT_QUANTIZATION or node.op_type.startswith("QLinear"):
            found = tuple(node.input[_OUTPUT_QUANTIZATION.get(node.op_type, _OF_ONE_INPUT)])
        else:
            found = parameters.get(node.input[0], ()) if node.input else ()
        if found:
            parameters[node.output[0]] = found
            tensors[node.name] = (node.output[0], *found)
    return tensors


def _integer(_: VGGSpec) -> Reading:
    return Reading(frozenset({LOGITS_NAME, OUTPUT_NAME}), _dequantized, fused=True)


def _blockwise(spec: VGGSpec) -> Reading:
    products = (layer.name for layer in spec.weighted_layers if layer.is_matrix)
    return Reading(frozenset({*products, OUTPUT_NAME}), _dequantized, fused=True)


READINGS: Mapping[Precision, Callable[[VGGSpec], Reading]] = {
    Precision.INT8: _integer,
    Precision.INT8_W4: _blockwise,
}
"""By precision that is calibrated; of others but floats, only their own outputs are read."""


@dataclass(frozen=True, slots=True)
class LayerOutput:
    """Where a session has a layer.

    Attributes:
        tensor: The layer whose tensor it is: itself, or the pooling that it flattens.
        output: The session's name for it.
        shape: Of one image's, as the spec has it: HWC or (units,).
        channels_last: Whether a tensor with four axes is NHWC.
    """

    tensor: str
    output: str
    shape: tuple[int, ...]
    channels_last: bool = False

    def value(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """What the session gave, as the caller's own array in the spec's layout."""
        if values.ndim == len(_NHWC_AXES) and not self.channels_last:
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
        output = reading.output(tensor)
        is_nhwc = output == MEAN_SUBTRACTION_NAME  # as it is, alone of all with four axes
        outputs[layer.name] = LayerOutput(tensor, output, layer.output_shape, is_nhwc)
    return outputs


def readable(artifact: Artifact) -> tuple[Reading, dict[str, LayerOutput]]:
    """How a file of ours is read, and what there is to be read by name."""
    if artifact.profile.is_float:
        return Reading(), _layer_outputs(artifact.spec, Reading())
    if artifact.precision not in READINGS:
        shape = (artifact.spec.classes,)
        return Reading(), {OUTPUT_NAME: LayerOutput(OUTPUT_NAME, OUTPUT_NAME, shape)}
    reading = READINGS[artifact.precision](artifact.spec)
    return reading, _layer_outputs(artifact.spec, reading)
