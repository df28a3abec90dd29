"""TFLite files: LiteRT runs the operators that the file lists, so the file is what is shown."""

from __future__ import annotations

import math
from pathlib import Path

from vggexport.formats.foreign import told
from vggexport.formats.tflite.file_reader import TfliteFile, TfliteOperator, TfliteTensor
from vggexport.formats.tflite.foreign import read_foreign
from vggexport.quantization.audit import Operator
from vggexport.results.build import Inspection, TensorDescription

_KERNEL_INPUTS = {"CONV_2D": 1, "FULLY_CONNECTED": 1}
"""Which input of an operator is its kernel."""

_FREE = "batch"


def inspect_tflite(path: Path) -> Inspection:
    """Reads a file's metadata and lists its operators.

    Raises:
        ArtifactError: The file cannot be read, or is no TFLite model.
    """
    file = TfliteFile(path)
    described = file.artifact()
    artifact = described and described.located(path)
    foreign, refusal = (None, "") if described else told(lambda: read_foreign(file)[0])
    names = {tensor.index: name for name, tensor in file.signature.items()}
    inputs, outputs = (
        tuple(description(tensor, names.get(tensor.index, tensor.name)) for tensor in ends)
        for ends in (file.inputs, file.outputs)
    )
    return Inspection(
        artifact=artifact,
        inputs=inputs,
        outputs=outputs,
        operators=tuple(_operator(file, operator) for operator in file.operators),
        parameters=artifact.spec.parameters if artifact else _parameters(file),
        size_bytes=path.stat().st_size,
        recognized=foreign,
        refusal=refusal,
    )


def description(tensor: TfliteTensor, name: str) -> TensorDescription:
    """An input or output under a name."""
    shape = tuple(size if size >= 0 else _FREE for size in tensor.shape)
    if not tensor.scales.size:
        return TensorDescription(name, tensor.dtype, shape)
    scale, zero_point = float(tensor.scales[0]), int(tensor.zero_points[0])
    return TensorDescription(name, tensor.dtype, shape, scale, zero_point)


def _operator(file: TfliteFile, operator: TfliteOperator) -> Operator:
    kernel = _kernel(operator)
    return Operator(
        file.tensors[operator.outputs[0]].name if operator.outputs else operator.type,
        operator.type,
        tuple(file.tensors[i].dtype if i >= 0 else "" for i in operator.inputs),
        tuple(file.tensors[i].dtype for i in operator.outputs),
        None if kernel is None else _stored_dtype(file, kernel),
    )


def _kernel(operator: TfliteOperator) -> int | None:
    """Number of an operator's kernel, or None if it has none."""
    position = _KERNEL_INPUTS.get(operator.type, len(operator.inputs))
    return next((index for index in operator.inputs[position:] if index >= 0), None)


def _stored_dtype(file: TfliteFile, index: int) -> str:
    """Data type of a kernel in the file: float16 ones are converted before they are used."""
    if not file.tensors[index].data.size:
        for operator in file.operators:
            if index in operator.outputs and operator.type == "DEQUANTIZE":
                return file.tensors[operator.inputs[0]].dtype
    return file.tensors[index].dtype


def _parameters(file: TfliteFile) -> int:
    """All constants that are not shapes or the like."""
    weights = {
        operator.inputs[i]
        for operator in file.operators
        if operator.type in _KERNEL_INPUTS
        for i in (1, 2)
        if i < len(operator.inputs)
    }
    return sum(math.prod(file.tensors[index].shape) for index in weights if index >= 0)
