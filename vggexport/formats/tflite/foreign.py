"""TFLite files of other converters: what they take and give, and the way in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from vggexport.artifact import Artifact
from vggexport.formats import foreign
from vggexport.formats.recognition import Step, StepKind, last_activation
from vggexport.formats.tflite.file_reader import TfliteFile, TfliteOperator, TfliteTensor
from vggexport.network.ends import Ends, Quantization
from vggexport.network.layers import OUTPUT_NAME
from vggexport.precision import Precision

_CUSTOM = "CUSTOM"
_SHAPED_BY_INPUT = {"FILL": 0, "BROADCAST_TO": 1, "TILE": 1, "RESHAPE": 1}
"""Which input of an operator is a shape, or multiplies one: LiteRT allocates what it says."""

_INTEGERS = frozenset({"int8", "uint8"})
_WIDEST = 8
_KINDS: Mapping[str, StepKind] = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV"), StepKind.SCALE),
    **dict.fromkeys(
        ("RESHAPE", "QUANTIZE", "DEQUANTIZE", "CAST", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS"),
        StepKind.MOVE,
    ),
    "RELU": StepKind.RELU,
    "SOFTMAX": StepKind.SOFTMAX,
    "LOGISTIC": StepKind.SIGMOID,
}
_REDUCTIONS = {"MEAN": StepKind.AVERAGE, "REDUCE_MAX": StepKind.MAX}
_OPTIONS = {
    "ADD": schema.AddOptions,
    "CONV_2D": schema.Conv2DOptions,
    "FULLY_CONNECTED": schema.FullyConnectedOptions,
    "MAX_POOL_2D": schema.Pool2DOptions,
    "MUL": schema.MulOptions,
}
_KERNEL = 1
_SPATIAL = {1, 2}


def read_foreign(file: TfliteFile) -> tuple[Artifact, dict[str, TfliteTensor]]:
    """What a TFLite file of another converter is, and which tensors its layers are.

    Raises:
        ArtifactError: It is not one that runs here.
    """
    graph = _graph(file)
    artifact, places = foreign.foreign_artifact(file.path, "tflite", graph)
    found = {name: file.tensors[int(step.output)] for name, step in places.items()}
    return artifact, found | {OUTPUT_NAME: file.outputs[0]}


def check_harmless(file: TfliteFile) -> None:
    """Refuses operators that are not TFLite's, and what is out of all size.

    Raises:
        ArtifactError: There are such.
    """
    for operator in file.operators:
        if operator.type == _CUSTOM:
            raise foreign.not_taken(
                file.path, f"it has the custom operator {operator.name or 'no name'}"
            )
    shapes = [(t.name, [s for s in t.shape if s > 0], _WIDEST) for t in file.tensors]
    foreign.check_sizes(file.path, [*shapes, *_asked_for(file)])


def _asked_for(file: TfliteFile) -> Iterator[tuple[str, Sequence[int], int]]:
    """Shapes that constants ask for."""
    for operator in file.operators:
        position = _SHAPED_BY_INPUT.get(operator.type, len(operator.inputs))
        for index in operator.inputs[position : position + 1]:
            tensor = file.tensors[index]
            if tensor.data.size and tensor.dtype in {"int32", "int64"}:
                sizes = tensor.data.view(tensor.dtype)
                yield tensor.name, [int(size) for size in sizes if size > 0], _WIDEST


def _graph(file: TfliteFile) -> foreign.ForeignGraph:
    check_harmless(file)
    path = file.path
    foreign.only(path, "input", [tensor.name for tensor in file.inputs])
    foreign.only(path, "output", [tensor.name for tensor in file.outputs])
    source, output = file.inputs[0], file.outputs[0]
    foreign.check_dtype(path, source.name, source.dtype)
    if output.dtype not in {"float32", *_INTEGERS}:
        raise foreign.not_taken(
            path, f"its output {output.name} is {output.dtype}: expected scores"
        )
    for end in (source, output):
        if end.dtype == "int8" and not end.scales.size:
            raise foreign.not_taken(path, f"{end.name} is int8 without a scale")
    shape = tuple(side if side >= 0 else None for side in source.shape)
    batch, size, layout = foreign.image_shape(path, source.name, shape)
    given = tuple(side if side >= 0 else None for side in output.shape)
    classes = foreign.class_count(path, output.name, given)
    listed = [
        ((n, o), () if o.type == "SHAPE" else o.inputs, o.outputs)
        for n, o in enumerate(file.operators)
    ]
    operators = foreign.data_path(source.index, output.index, listed)
    steps = list(_steps(file, operators)) if operators else None
    last = last_activation(steps) if steps else _last(file)
    ends = Ends(
        source.name,
        output.name,
        size,
        classes,
        source.dtype,
        layout,
        _quantization(source),
        foreign.activation_for(classes, last),
        last is None,
    )
    quantized = output.dtype in _INTEGERS or _quantizes(file)
    return foreign.ForeignGraph(ends, batch, _precision(file), steps, quantized)


def _quantization(tensor: TfliteTensor) -> Quantization | None:
    if not tensor.scales.size:
        return None
    return Quantization(float(tensor.scales[0]), int(tensor.zero_points[0]))


def _precision(file: TfliteFile) -> Precision:
    """By what is stored and what is multiplied; weights are what has most values."""
    weighted = [o for o in file.operators if o.type in {"CONV_2D", "FULLY_CONNECTED"}]
    data = {file.tensors[o.inputs[0]].dtype for o in weighted}
    stored = {tensor.dtype for tensor in file.tensors if tensor.data.size and len(tensor.shape) > 1}
    if "int4" in stored:
        return Precision.INT8_W4
    if data & {*_INTEGERS, "int16"}:
        return Precision.INT8
    if stored & _INTEGERS:
        return Precision.DYNAMIC_INT8
    return Precision.FLOAT16 if "float16" in stored else Precision.FLOAT32


def _behind(file: TfliteFile) -> Iterator[tuple[int, TfliteOperator]]:
    """What gives the scores: the operators that only move them, the last first, and one more."""
    sources = {i: (n, o) for n, o in enumerate(file.operators) for i in o.outputs}
    name = file.outputs[0].index
    for _ in file.operators:
        if name not in sources:
            return
        yield sources[name]
        operator = sources[name][1]
        if _KINDS.get(operator.type) is not StepKind.MOVE:
            return
        name = operator.inputs[0]


def _quantizes(file: TfliteFile) -> bool:
    """Whether scores are rounded to 8 bits on their way out, whatever they are given as."""
    return any(operator.type in {"QUANTIZE", "DEQUANTIZE"} for _, operator in _behind(file))


def _last(file: TfliteFile) -> Any:
    """What a graph that is no chain ends in."""
    *_, last = (None, *_behind(file))
    return last and last_activation(list(_steps(file, [last])))


def _steps(file: TfliteFile, path: Sequence[tuple[int, TfliteOperator]]) -> Iterator[Step]:
    functions = schema.ActivationFunctionType
    for number, operator in path:
        table = _OPTIONS.get(operator.type)
        options = file.options(number, table) if table else None
        function = options.FusedActivationFunction() if options else functions.NONE
        kind, shape = _kind(file, operator, options)
        if function not in {functions.NONE, functions.RELU}:
            kind = StepKind.OTHER
        yield Step(kind, str(operator.outputs[0]), shape, relu=function == functions.RELU)


def _kind(
    file: TfliteFile, operator: TfliteOperator, options: Any
) -> tuple[StepKind, tuple[int, ...]]:
    """What an operator does, and the shape of its kernel, HWIO or (inputs, outputs)."""
    kind = operator.type
    if kind == "CONV_2D":
        outputs, height, width, inputs = file.tensors[operator.inputs[_KERNEL]].shape
        return (
            (StepKind.CONVOLUTION, (height, width, inputs, outputs))
            if _is_plain_convolution(options, height)
            else (StepKind.OTHER, ())
        )
    if kind == "FULLY_CONNECTED":
        outputs, inputs = file.tensors[operator.inputs[_KERNEL]].shape
        return StepKind.MATRIX, (inputs, outputs)
    if kind == "MAX_POOL_2D":
        windows = (
            options.FilterHeight(),
            options.FilterWidth(),
            options.StrideH(),
            options.StrideW(),
        )
        return (StepKind.POOL if windows == (2, 2, 2, 2) else StepKind.OTHER), ()
    if kind in _REDUCTIONS:
        axes = file.tensors[operator.inputs[1]].data.view(np.int32)
        return (_REDUCTIONS[kind] if set(axes.tolist()) == _SPATIAL else StepKind.OTHER), ()
    return _KINDS.get(kind, StepKind.OTHER), ()


def _is_plain_convolution(options: Any, kernel: int) -> bool:
    """Stride 1, same padding, every channel of every other."""
    ones = {
        options.StrideH(),
        options.StrideW(),
        options.DilationHFactor(),
        options.DilationWFactor(),
    }
    return ones == {1} and (options.Padding() == schema.Padding.SAME or kernel == 1)
