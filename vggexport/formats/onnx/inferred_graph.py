"""An ONNX graph with the shapes of its tensors, looked through before ONNX Runtime sees it.

Nothing is allocated that the file only declares: shapes are inferred on the graph without weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, shape_inference

from vggexport.errors import one_line
from vggexport.formats.foreign import check_sizes, not_taken
from vggexport.formats.onnx.mapped_file import OnnxFile

BLOCKED_DOMAIN = "com.microsoft.nchwc"
"""Of what ONNX Runtime saves when it has optimized for one processor: channels in blocks."""

DOMAINS = frozenset({"", "ai.onnx", "com.microsoft", BLOCKED_DOMAIN})
"""Of operators: ONNX's own and those of ONNX Runtime."""

_CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_SMALL = 1024
"""Values of constants that shapes may be made of."""


def check_harmless(file: OnnxFile) -> None:
    """Refuses what reads other files, is not ONNX's or ONNX Runtime's, or is out of all size.

    Raises:
        ArtifactError: It does.
    """
    model = file.model
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    nodes = [node for body in bodies for node in body]
    functions = {function.domain for function in model.functions}
    tensors = [*file.initializers, *_attribute_tensors(nodes)]
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors):
        raise not_taken(
            file.path, "its weights are in another file (external data): save it as one file"
        )
    for node in nodes:
        if node.domain not in DOMAINS | functions:
            raise not_taken(file.path, f"it has the custom operator {node.domain}.{node.op_type}")
        if node.op_type in _CONTROL:
            raise not_taken(file.path, f"it has an operator {node.op_type}: expected no branches")
    sparse = [(t.values.name, t.dims, _width(t.values)) for t in model.graph.sparse_initializer]
    check_sizes(file.path, [*((t.name, t.dims, _width(t)) for t in tensors), *sparse])


def _attribute_tensors(nodes: Sequence[Any]) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def _width(tensor: Any) -> int:
    """Bytes of a value; strings and unknown types count as the longest number."""
    try:
        return max(1, int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize))
    except KeyError:
        return np.dtype(np.complex128).itemsize


class InferredGraph:
    """A file's graph, its operators in order.

    Raises:
        ArtifactError: It cannot be read, or holds what is not run here.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = OnnxFile(path)
        check_harmless(self.file)
        graph = self._inferred().graph
        self.nodes: Sequence[Any] = graph.node
        values = (*graph.input, *graph.value_info, *graph.output)
        self._types = {value.name: value.type.tensor_type for value in values}
        check_sizes(path, ((name, self._sizes(name), 1) for name in self._types))

    def shape(self, name: str) -> tuple[int | None, ...]:
        """A tensor's sizes; None for free ones."""
        if tensor := self.file.initializer(name):
            return tuple(tensor.dims)
        dims = self._types[name].shape.dim if name in self._types else ()
        return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)

    def dtype(self, name: str) -> str:
        """Its data type; empty where that is not known."""
        number = self._types[name].elem_type if name in self._types else 0
        return str(helper.tensor_dtype_to_np_dtype(number)) if number else ""

    def _sizes(self, name: str) -> list[int]:
        return [side for side in self.shape(name) if side is not None]

    def _inferred(self) -> Any:
        """The graph with the shapes of all tensors, weights being inputs without values."""
        model = onnx.ModelProto()
        model.CopyFrom(self.file.model)
        known = {value.name for value in model.graph.input}
        for tensor in self.file.initializers:
            if prod(tensor.dims) <= _SMALL:
                model.graph.initializer.append(self._small(tensor.name))
            elif tensor.name not in known:
                value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
                model.graph.input.append(value)
        try:
            return shape_inference.infer_shapes(model, data_prop=True)
        except (shape_inference.InferenceError, RuntimeError, ValueError) as error:
            raise not_taken(self.path, f"its shapes do not fit: {one_line(error)}") from error

    def _small(self, name: str) -> Any:
        try:
            return onnx.numpy_helper.from_array(np.array(self.file.array(name)), name)
        except (ValueError, TypeError) as error:
            raise not_taken(self.path, f"{name} is damaged: {one_line(error)}") from error
