"""Streams an ONNX model to disk, one weight at a time.

A ModelProto in memory would hold every weight, and serializing it a second copy. Here the sizes
of all messages follow from the declared shapes, so lengths are written first and each array goes
straight into the file: the memory needed is that of the largest tensor.

The wire format is protobuf's (https://protobuf.dev/programming-guides/encoding); field numbers
are taken from the generated classes, not repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import onnx
from onnx import helper

from vggexport.errors import OutputError
from vggexport.formats.exporter import SMALLER_FILE, BindingError
from vggexport.formats.onnx.mapped_file import LENGTH_DELIMITED, field_number
from vggexport.network.layers import INPUT_NAME

MAX_MODEL_BYTES = 2**31 - 1
"""Largest message that protobuf reads."""


def symbols(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The graph inputs that stand for weights, as tensors without data, by their names."""
    return {
        value.name: onnx.TensorProto(
            name=value.name,
            data_type=value.type.tensor_type.elem_type,
            dims=[dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in model.graph.input
        if value.name != INPUT_NAME
    }


def write_model(
    file: BinaryIO, model: onnx.ModelProto, arrays: Iterable[tuple[str, np.ndarray]]
) -> None:
    """Writes ``model`` with its symbols bound.

    The model, whose weights are graph inputs, is not changed; the name and array of each are taken
    one by one, in any order.

    Raises:
        BindingError: A symbol is bound twice, not at all, or to another shape or type.
        OutputError: The file would be larger than protobuf allows.
    """
    unbound = symbols(model)
    head, graph = _without_symbols(model)
    graph_size = len(graph) + sum(_initializer_size(tensor) for tensor in unbound.values())
    prefix = _field_prefix(onnx.ModelProto, "graph", graph_size)
    if (total := len(head) + len(prefix) + graph_size) > MAX_MODEL_BYTES:
        raise OutputError(
            f"the ONNX file would have {total:,} bytes, more than the {MAX_MODEL_BYTES:,} that one "
            "file may have",
            *SMALLER_FILE,
        )
    file.write(head + prefix + graph)
    for name, array in arrays:
        _write_initializer(file, _take(unbound, name, array), array)
    if unbound:
        raise BindingError(f"never bound: {', '.join(unbound)}")


def _without_symbols(model: onnx.ModelProto) -> tuple[bytes, bytes]:
    """The serialized model without its graph, and the graph without its symbols."""
    graph = onnx.GraphProto()
    graph.CopyFrom(model.graph)
    images = [value for value in graph.input if value.name == INPUT_NAME]
    del graph.input[:]
    graph.input.extend(images)
    head = onnx.ModelProto()
    head.CopyFrom(model)
    head.ClearField("graph")
    return head.SerializeToString(), graph.SerializeToString()


def _take(unbound: dict[str, onnx.TensorProto], name: str, array: np.ndarray) -> onnx.TensorProto:
    if name not in unbound:
        raise BindingError(f"{name} is not a symbol of the graph, or is bound twice")
    tensor = unbound.pop(name)
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    if (array.dtype, array.shape) != (dtype, tuple(tensor.dims)):
        raise BindingError(
            f"{name}: {dtype} {tuple(tensor.dims)} declared, {array.dtype} {array.shape} given"
        )
    return tensor


def _write_initializer(file: BinaryIO, tensor: onnx.TensorProto, array: np.ndarray) -> None:
    for prefix in _initializer_prefixes(tensor):
        file.write(prefix)
    file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _initializer_prefixes(tensor: onnx.TensorProto) -> Iterator[bytes]:
    """All that stands before the tensor's bytes."""
    size = _data_size(tensor)
    header = tensor.SerializeToString()
    raw = _field_prefix(onnx.TensorProto, "raw_data", size)
    yield _field_prefix(onnx.GraphProto, "initializer", len(header) + len(raw) + size)
    yield header
    yield raw


def _initializer_size(tensor: onnx.TensorProto) -> int:
    return sum(map(len, _initializer_prefixes(tensor))) + _data_size(tensor)


def _data_size(tensor: onnx.TensorProto) -> int:
    itemsize: int = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return itemsize * int(np.prod(tensor.dims, dtype=np.int64))


def _field_prefix(message: type, field: str, size: int) -> bytes:
    """Tag and length of a length-delimited field."""
    return _varint(field_number(message, field) << 3 | LENGTH_DELIMITED) + _varint(size)


def _varint(value: int) -> bytes:
    """Base-128 encoding, seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
