"""Streams a TFLite model to disk, one weight at a time.

A flatbuffer with its weights inside would be in memory whole, twice while it grows. Here the part
without weights, some kilobytes, is built first, with a one-byte placeholder for each of them. The
weights go after it, and the placeholders' offsets are set to where they went: a valid flatbuffer
in which they are the last vectors. Scales that are computed together with the weights are set in
the same way, and the first part is written again at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from vggexport.errors import OutputError
from vggexport.formats.exporter import SMALLER_FILE, BindingError
from vggexport.formats.tflite.bound_weights import Value
from vggexport.formats.tflite.file_reader import IDENTIFIER
from vggexport.formats.tflite.graph import Graph, Operator, Tensor
from vggexport.network.layers import INPUT_NAME, OUTPUT_NAME

MAX_MODEL_BYTES = 2**31 - 1
"""Largest flatbuffer: its offsets have 32 bits, one of them a sign."""

SIGNATURE = "serving_default"
SCHEMA_VERSION = 3

ALIGNMENT_BYTES = 16
"""Of a buffer's data (``force_align: 16`` in the TFLite schema)."""

_LENGTH_BYTES = 4
_CHUNK_BYTES = 1 << 24  # what is made contiguous at a time
_OFFSET = np.dtype("<u4")
_PLACEHOLDER = np.zeros(1, np.uint8)
_BUFFER_DATA_SLOT = 4  # of the first field, ``data``, in a table's vtable


def write_model(
    file: BinaryIO,
    graph: Graph,
    values: Iterable[Value],
    *,
    description: str,
    metadata: Mapping[str, bytes],
) -> None:
    """Writes a graph with its weights bound into an empty file that can seek.

    A value for each weight is taken, one by one, in any order; the description is for a person,
    metadata are further buffers by name.

    Raises:
        BindingError: A weight is bound twice, not at all, or to another shape, type or scales.
        OutputError: The file would be larger than a flatbuffer may be.
    """
    head = _Head(graph, description, metadata)
    _check_size(len(head.data) + sum(map(_largest_place, graph.weights.values())))
    unbound = graph.weights
    file.write(head.data)
    for value in values:
        tensor = _take(unbound, value)
        _pad(file)
        head.place(tensor.name, file.tell())
        if value.scales is not None:
            head.set_scales(tensor.name, value.scales)
        _write_vector(file, value.array, tensor.size_bytes)
    if unbound:
        raise BindingError(f"never bound: {', '.join(unbound)}")
    file.seek(0)
    file.write(head.data)
    file.seek(0, 2)


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Writes equal arrays once: zero points, which must be given for each channel, are all 0."""

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802  overridden
        key = x.dtype.str, x.tobytes()
        if key not in self._written:
            self.Prep(ALIGNMENT_BYTES, x.nbytes)  # which the generated classes leave out
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


class _Head:
    """The flatbuffer without its weights, in which their places are set later."""

    def __init__(self, graph: Graph, description: str, metadata: Mapping[str, bytes]) -> None:
        self._numbers = {name: number for number, name in enumerate(graph.tensors)}
        builder = _SharingBuilder()
        model = _model(graph, self._numbers, description, metadata)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        self.data = bytearray(builder.Output())
        self._model = schema.Model.GetRootAs(self.data, 0)

    def place(self, name: str, position: int) -> None:
        """Sets where a weight's vector, its length in front, begins in the file."""
        tensor = self._model.Subgraphs(0).Tensors(self._numbers[name])
        # The generated classes give a field's value and not its place, which their table knows.
        table = self._model.Buffers(tensor.Buffer())._tab  # noqa: SLF001
        field = table.Pos + table.Offset(_BUFFER_DATA_SLOT)
        self._view(field, _OFFSET, 1)[:] = position - field

    def set_scales(self, name: str, scales: NDArray[np.float32]) -> None:
        """Sets the scales of a weight."""
        tensor = self._model.Subgraphs(0).Tensors(self._numbers[name])
        tensor.Quantization().ScaleAsNumpy()[:] = scales  # a view of the bytes

    def _view(self, position: int, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        return np.frombuffer(self.data, dtype, count, position)


def _largest_place(tensor: Tensor) -> int:
    """Bytes of a weight with its length and the most that may have to go in front."""
    return tensor.size_bytes + _LENGTH_BYTES + ALIGNMENT_BYTES - 1


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAX_MODEL_BYTES:
        raise OutputError(
            f"the TFLite file would have {size_bytes:,} bytes, more than the {MAX_MODEL_BYTES:,} "
            "that one file may have",
            *SMALLER_FILE,
        )


def _take(unbound: dict[str, Tensor], value: Value) -> Tensor:
    if value.name not in unbound:
        raise BindingError(f"{value.name} is not a weight of the graph, or is bound twice")
    tensor = unbound.pop(value.name)
    declared = tensor.stored_dtype, tensor.stored_shape, tensor.channels
    given = value.array.dtype, value.array.shape, 0 if value.scales is None else len(value.scales)
    if declared != given:
        raise BindingError(f"{value.name}: {declared} declared, {given} given")
    return tensor


def _pad(file: BinaryIO) -> None:
    """Goes on to where the length must be for the data after it to be aligned."""
    file.write(bytes(-(file.tell() + _LENGTH_BYTES) % ALIGNMENT_BYTES))


def _write_vector(file: BinaryIO, array: NDArray[Any], size_bytes: int) -> None:
    """A length and the bytes of an array in C order, whatever its order in memory."""
    file.write(_OFFSET.type(size_bytes).tobytes())
    rows = max(1, _CHUNK_BYTES * len(array) // max(size_bytes, 1))
    for start in range(0, len(array), rows):
        part = np.ascontiguousarray(array[start : start + rows])
        file.write(part.reshape(-1).view(np.uint8).data)


def _model(
    graph: Graph, numbers: Mapping[str, int], description: str, metadata: Mapping[str, bytes]
) -> Any:
    model = schema.ModelT()
    model.version = SCHEMA_VERSION
    model.description = description
    model.buffers = [schema.BufferT()]  # the first is the empty one of all activations
    codes = sorted({(operator.type, operator.version) for operator in graph.operators})
    model.operatorCodes = [_operator_code(*code) for code in codes]
    subgraph = schema.SubGraphT()
    subgraph.name = graph.name
    subgraph.tensors = [_tensor(t, graph, numbers, model.buffers) for t in graph.tensors.values()]
    subgraph.operators = [_operator(o, codes, numbers) for o in graph.operators]
    subgraph.inputs = [numbers[graph.input.name]]
    subgraph.outputs = [numbers[graph.output.name]]
    model.subgraphs = [subgraph]
    model.signatureDefs = [_signature(graph, numbers)]
    model.metadata = list(_metadata(metadata, model.buffers))
    return model


def _operator_code(operator: str, version: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, operator)
    code.version = version
    return code


def _operator(operator: Operator, codes: list[tuple[str, int]], numbers: Mapping[str, int]) -> Any:
    packed = schema.OperatorT()
    packed.opcodeIndex = codes.index((operator.type, operator.version))
    packed.inputs = [numbers[name] for name in operator.inputs]
    packed.outputs = [numbers[operator.output]]
    if operator.options is not None:
        kind = type(operator.options).__name__.removesuffix("T")
        packed.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        packed.builtinOptions = operator.options
    return packed


def _tensor(tensor: Tensor, graph: Graph, numbers: Mapping[str, int], buffers: list[Any]) -> Any:
    packed = schema.TensorT()
    packed.name = tensor.name
    packed.type = getattr(schema.TensorType, tensor.dtype.upper())
    packed.shape = list(tensor.shape)
    packed.hasRank = True
    packed.quantization = _quantization(tensor, numbers)
    packed.buffer = 0 if tensor.is_computed else _add_buffer(buffers, tensor.data)
    if tensor.is_activation:
        packed.shape = [graph.batch or 1, *tensor.shape]
        if graph.batch is None:
            packed.shapeSignature = [-1, *tensor.shape]
    return packed


def _add_buffer(buffers: list[Any], data: NDArray[Any] | None) -> int:
    buffer = schema.BufferT()
    buffer.data = _PLACEHOLDER if data is None else data.reshape(-1).view(np.uint8)
    buffers.append(buffer)
    return len(buffers) - 1


def _quantization(tensor: Tensor, numbers: Mapping[str, int]) -> Any:
    packed = schema.QuantizationParametersT()
    if tensor.quantization is not None:
        packed.scale = [tensor.quantization.scale]
        packed.zeroPoint = [tensor.quantization.zero_point]
    elif tensor.channels:
        packed.scale = [0.0] * tensor.channels  # a list, and so a vector of its own
        packed.zeroPoint = np.zeros(tensor.channels, np.int64)
    elif tensor.blocks:
        blocks = schema.BlockwiseQuantizationT()
        blocks.scales = numbers[tensor.blocks.scales]
        blocks.zeroPoints = -1
        blocks.blockSize = tensor.blocks.size
        packed.details = blocks
        packed.detailsType = schema.QuantizationDetails.BlockwiseQuantization
    else:
        return None
    return packed


def _signature(graph: Graph, numbers: Mapping[str, int]) -> Any:
    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE
    signature.inputs = [_named(INPUT_NAME, numbers[graph.input.name])]
    signature.outputs = [_named(OUTPUT_NAME, numbers[graph.output.name])]
    return signature


def _named(name: str, number: int) -> Any:
    pair = schema.TensorMapT()
    pair.name = name
    pair.tensorIndex = number
    return pair


def _metadata(metadata: Mapping[str, bytes], buffers: list[Any]) -> Iterator[Any]:
    for name, data in metadata.items():
        entry = schema.MetadataT()
        entry.name = name
        entry.buffer = _add_buffer(buffers, np.frombuffer(data, np.uint8))
        yield entry
