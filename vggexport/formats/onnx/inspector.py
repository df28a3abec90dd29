"""ONNX files, as they are and as ONNX Runtime optimizes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from vggexport.artifact import Artifact
from vggexport.formats.foreign import foreign_artifact, told
from vggexport.formats.onnx.foreign import ForeignOnnx
from vggexport.formats.onnx.mapped_file import OnnxFile
from vggexport.formats.onnx.sessions import write_optimized
from vggexport.quantization.audit import Operator
from vggexport.results.build import Inspection, TensorDescription
from vggexport.system.output_files import temporary_folder

_KERNEL_INPUTS = {
    "Conv": 1,
    "FusedConv": 1,
    "QLinearConv": 3,
    "Gemm": 1,
    "FusedGemm": 1,
    "QGemm": 3,
    "MatMulNBits": 1,
}
"""Which input of an operator is its kernel."""

_OUTPUT_TYPE_INPUTS = {
    "QuantizeLinear": (2, "uint8"),
    "DequantizeLinear": (1, "float32"),
    "QLinearConv": (7, "uint8"),
    "QGemm": (8, "float32"),
}
"""Which input has the output's data type (a zero point or a scale), and the type without it."""

_OUTPUT_TYPES = {
    "DynamicQuantizeLinear": ["uint8", "float32", "uint8"],
    "MatMulInteger": ["int32"],
    "ConvInteger": ["int32"],
}
"""Operators whose output types are always the same."""


def inspect_onnx(path: Path) -> Inspection:
    """Reads a file's metadata and lists the operators that ONNX Runtime runs for it.

    The graph listed is the one after ONNX Runtime's optimizations that do not depend on the
    processor: it says what is computed in integers, which QDQ pairs in the file only promise.

    Raises:
        ArtifactError: The file cannot be read, or is no ONNX model.
    """
    file = OnnxFile(path)
    model, described = file.model, file.artifact()
    artifact = described and described.located(path)
    foreign, refusal = (None, "") if described else _foreign(path)
    optimized = _optimized(path)
    dtypes = _dtypes(optimized)
    return Inspection(
        artifact=artifact,
        inputs=tuple(_describe(value) for value in model.graph.input),
        outputs=tuple(_describe(value) for value in model.graph.output),
        operators=tuple(_operator(node, dtypes) for node in optimized.graph.node),
        parameters=artifact.spec.parameters if artifact else file.constants,
        size_bytes=path.stat().st_size,
        opset=next((o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}), None),
        recognized=foreign,
        refusal=refusal,
    )


def _foreign(path: Path) -> tuple[Artifact | None, str]:
    """What a file of another converter is."""
    graph = ForeignOnnx(path)
    return told(lambda: foreign_artifact(path, "onnx", graph.graph())[0])


def _optimized(path: Path) -> Any:
    """The graph after ONNX Runtime's hardware-independent optimizations, types inferred."""
    with temporary_folder() as folder:
        written = folder / "optimized.onnx"
        write_optimized(path, written, exact_int8=False)
        return onnx.load(written)


def _describe(value: Any) -> TensorDescription:
    tensor = value.type.tensor_type
    shape = tuple(dim.dim_param or dim.dim_value for dim in tensor.shape.dim)
    return TensorDescription(value.name, _dtype_name(tensor.elem_type), shape)


def _dtypes(model: Any) -> dict[str, str]:
    """Data type of every tensor. ONNX's own inference does not know ONNX Runtime's operators."""
    graph = model.graph
    dtypes = {tensor.name: _dtype_name(tensor.data_type) for tensor in graph.initializer}
    dtypes.update({v.name: _dtype_name(v.type.tensor_type.elem_type) for v in graph.input})
    for node in graph.node:
        types = _OUTPUT_TYPES.get(node.op_type) or [_output_dtype(node, dtypes)] * len(node.output)
        dtypes.update(zip(node.output, types, strict=False))
    return dtypes


def _output_dtype(node: Any, dtypes: dict[str, str]) -> str:
    if node.op_type == "Cast":
        return _dtype_name(next(a.i for a in node.attribute if a.name == "to"))
    if node.op_type not in _OUTPUT_TYPE_INPUTS:
        return dtypes.get(node.input[0], "") if node.input else ""
    position, default = _OUTPUT_TYPE_INPUTS[node.op_type]
    given = len(node.input) > position and node.input[position]
    return dtypes[node.input[position]] if given else default


def _operator(node: Any, dtypes: dict[str, str]) -> Operator:
    kernel = _KERNEL_INPUTS.get(node.op_type)
    return Operator(
        node.name,
        node.op_type,
        tuple(dtypes.get(name, "") for name in node.input),
        tuple(dtypes[name] for name in node.output),
        None if kernel is None else _weights_dtype(node, dtypes[node.input[kernel]]),
    )


def _weights_dtype(node: Any, stored: str) -> str:
    """MatMulNBits packs the values of its kernel into bytes."""
    bits = next((a.i for a in node.attribute if a.name == "bits"), None)
    return stored if bits is None else f"uint{bits}"


def _dtype_name(data_type: int) -> str:
    if data_type == onnx.TensorProto.UNDEFINED:
        return ""
    return str(helper.tensor_dtype_to_np_dtype(data_type))
