"""ONNX files of other converters: what they take and give, and the way in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from vggexport.artifact import Artifact
from vggexport.formats import foreign
from vggexport.formats.onnx.inferred_graph import BLOCKED_DOMAIN, InferredGraph
from vggexport.formats.onnx.tapped_copy import LayerOutput
from vggexport.formats.recognition import Step, StepKind, last_activation
from vggexport.formats.runner import ends_of
from vggexport.network.ends import Ends, Quantization
from vggexport.network.layers import OUTPUT_NAME
from vggexport.precision import Precision

_SHAPES = frozenset({"Shape", "Size"})

_ELEMENTWISE = dict.fromkeys(("Add", "Sub", "Mul", "Div", "BatchNormalization"), StepKind.SCALE)
_MOVES = dict.fromkeys(
    (
        *("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast", "Dropout"),
        *("QuantizeLinear", "DequantizeLinear"),
    ),
    StepKind.MOVE,
)
_KINDS: Mapping[str, StepKind] = {
    **_ELEMENTWISE,
    **_MOVES,
    "Relu": StepKind.RELU,
    "GlobalAveragePool": StepKind.AVERAGE,
    "GlobalMaxPool": StepKind.MAX,
    "Softmax": StepKind.SOFTMAX,
    "Sigmoid": StepKind.SIGMOID,
    "QLinearSoftmax": StepKind.SOFTMAX,
    "QLinearSigmoid": StepKind.SIGMOID,
}
_REDUCTIONS = {"ReduceMean": StepKind.AVERAGE, "ReduceMax": StepKind.MAX}
_SPATIAL = ({1, 2}, {2, 3})
_LAST, _FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
_LINEAR = frozenset({StepKind.CONVOLUTION, StepKind.MATRIX, StepKind.SCALE})
_QUANTIZED_TYPES = ("QuantizeLinear", "QLinearConv")
_DYNAMIC_TYPES = ("DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "DequantizeLinear")


def read_foreign(path: Path) -> tuple[Artifact, dict[str, LayerOutput]]:
    """What an ONNX file of another converter is, and where its layers are.

    Raises:
        ArtifactError: It is not one that runs here.
    """
    artifact, places = foreign.foreign_artifact(path, "onnx", ForeignOnnx(path).graph())
    layers = {layer.name: layer for layer in artifact.spec.layers}
    found = {
        name: LayerOutput(step.output, step.output, layers[name].output_shape, step.channels_last)
        for name, step in places.items()
    }
    output = ends_of(artifact).output
    found[OUTPUT_NAME] = LayerOutput(output, output, (artifact.spec.classes,))
    return artifact, found


class ForeignOnnx:
    """A file looked through.

    Raises:
        ArtifactError: It cannot be read, or holds what is not run here.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._graph = InferredGraph(path)
        self._file = self._graph.file
        self._nodes = self._graph.nodes
        self._sources = {output: node for node in self._nodes for output in node.output}

    def graph(self) -> foreign.ForeignGraph:
        """What it takes and gives.

        Raises:
            ArtifactError: That is not an image, or not scores.
        """
        inputs = [v.name for v in self._file.model.graph.input if v.name not in self._file]
        source = foreign.only(self.path, "input", inputs)
        output = foreign.only(self.path, "output", [v.name for v in self._file.model.graph.output])
        dtype = self._graph.dtype(source)
        foreign.check_dtype(self.path, source, dtype)
        batch, size, layout = foreign.image_shape(self.path, source, self._graph.shape(source))
        quantization = self._input_quantization(source)
        if dtype == "int8" and quantization is None:
            raise foreign.not_taken(self.path, f"its input {source} is int8 without a scale")
        if self._graph.dtype(output) not in {"float32", "float16"}:
            raise foreign.not_taken(
                self.path, f"its output {output} is {self._graph.dtype(output)}: not floats"
            )
        classes = foreign.class_count(self.path, output, self._graph.shape(output))
        nodes = [(n, () if n.op_type in _SHAPES else n.input, n.output) for n in self._nodes]
        path = foreign.data_path(source, output, nodes)
        steps = path and list(self._steps(path))
        last = last_activation(steps) if steps else self._last_type(output)
        ends = Ends(
            source,
            output,
            size,
            classes,
            dtype,
            layout,
            quantization,
            foreign.activation_for(classes, last),
            last is None,
        )
        return foreign.ForeignGraph(ends, batch, self._precision, steps, self._quantizes(output))

    def _input_quantization(self, source: str) -> Quantization | None:
        """Of an integer input that a DequantizeLinear reads: its scale and zero point."""
        for node in self._nodes:
            if node.op_type == "DequantizeLinear" and node.input[0] == source:
                scale, *zero_point = (self._file.array(name) for name in node.input[1:])
                offset = int(zero_point[0].reshape(-1)[0]) if zero_point else 0
                return Quantization(float(scale.reshape(-1)[0]), offset)
        return None

    @cached_property
    def _precision(self) -> Precision:
        types = {node.op_type for node in self._nodes}
        if "MatMulNBits" in types:
            return Precision.INT8_W4
        if types.intersection(_QUANTIZED_TYPES):
            return Precision.INT8
        if types.intersection(_DYNAMIC_TYPES):
            return Precision.DYNAMIC_INT8
        float16 = onnx.TensorProto.FLOAT16
        weights = [t for t in self._file.initializers if prod(t.dims) > 1]
        is_half = any(tensor.data_type == float16 for tensor in weights)
        return Precision.FLOAT16 if is_half else Precision.FLOAT32

    def _quantizes(self, output: str) -> bool:
        """Whether scores are rounded to 8 bits on their way out."""
        for node in self._behind(output):
            if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
                return True
        return False

    def _last_type(self, output: str) -> Any:
        """What a graph that is no chain ends in."""
        *_, last = (None, *self._behind(output))
        source = last.input[0] if last is not None else output
        if source not in self._sources:
            return None
        return last_activation(list(self._steps([self._sources[source]])))

    def _behind(self, output: str) -> Iterator[Any]:
        """Operators that only move the scores, the last first."""
        node = self._sources.get(output)
        while node is not None and node.op_type in _MOVES:
            yield node
            node = self._sources.get(node.input[0])

    def _steps(self, path: Sequence[Any]) -> Iterator[Step]:
        channels_last, before = False, StepKind.MOVE
        for node in path:
            kind, shape = self._kind(node)
            if before in _LINEAR and self._clips_at_0(node):
                kind = StepKind.RELU
            before = before if kind is StepKind.MOVE else kind
            if node.op_type == "Transpose":
                moved = list(_attributes(node).get("perm", ()))
                channels_last = moved == _LAST or (channels_last and moved != _FIRST)
            elif kind in {StepKind.CONVOLUTION, StepKind.POOL}:
                channels_last = False
            yield Step(kind, node.output[0], shape, channels_last=channels_last)

    def _kind(self, node: Any) -> tuple[StepKind, tuple[int, ...]]:
        """What an operator does, and the shape of its kernel, HWIO or (inputs, outputs)."""
        given, kind = _attributes(node), node.op_type
        if node.domain == BLOCKED_DOMAIN:
            return StepKind.OTHER, ()
        if kind == "Conv":
            shape = self._graph.shape(node.input[1])
            if None in shape or not _is_plain_convolution(given, shape):
                return StepKind.OTHER, ()
            outputs, inputs, height, width = (int(side or 0) for side in shape)
            return StepKind.CONVOLUTION, (height, width, inputs, outputs)
        if kind in {"Gemm", "MatMul"}:
            shape = self._graph.shape(node.input[1])
            if None in shape or len(shape) != len(("inputs", "outputs")) or given.get("transA"):
                return StepKind.OTHER, ()
            inputs, outputs = (int(side or 0) for side in shape)
            return StepKind.MATRIX, (outputs, inputs) if given.get("transB") else (inputs, outputs)
        if kind == "MaxPool":
            return (StepKind.POOL if _is_plain_pooling(given) else StepKind.OTHER), ()
        if kind in _REDUCTIONS:
            axes = set(given.get("axes") or self._axes(node))
            return (_REDUCTIONS[kind] if axes in _SPATIAL else StepKind.OTHER), ()
        return _KINDS.get(kind, StepKind.OTHER), ()

    def _clips_at_0(self, node: Any) -> bool:
        """Whether integers cannot stand for numbers below 0: quantizers leave a ReLU out then."""
        if node.op_type != "DequantizeLinear" or node.input[-1] not in self._file:
            return False
        zero_point = self._file.array(node.input[-1])
        is_integer = len(node.input) == 3 and np.issubdtype(zero_point.dtype, np.integer)
        return bool(is_integer and (zero_point == np.iinfo(zero_point.dtype).min).all())

    def _axes(self, node: Any) -> list[int]:
        if len(node.input) < len(("data", "axes")) or node.input[1] not in self._file:
            return []
        return [int(axis) for axis in self._file.array(node.input[1])]


def _attributes(node: Any) -> dict[str, Any]:
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def _is_plain_convolution(given: Mapping[str, Any], shape: Sequence[int | None]) -> bool:
    """Stride 1, same padding, every channel of every other."""
    if len(shape) != len("OIHW") or given.get("group", 1) != 1:
        return False
    if {*given.get("strides", [1]), *given.get("dilations", [1])} != {1}:
        return False
    if given.get("auto_pad", b"NOTSET") not in {b"NOTSET", b""}:
        return bool(given["auto_pad"] in {b"SAME_UPPER", b"SAME_LOWER"})
    margins = [int(side or 0) // 2 for side in shape[2:]] * 2
    return list(given.get("pads", [0, 0, 0, 0])) == margins


def _is_plain_pooling(given: Mapping[str, Any]) -> bool:
    """The largest of 2x2, without any overlap."""
    windows = [*given.get("kernel_shape", ()), *given.get("strides", ())]
    return windows == [2, 2, 2, 2] and not any(given.get("pads", ()))
