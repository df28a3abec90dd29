"""An ONNX file whose weights stay on disk.

Parsing the whole file would hold every weight twice. Here the fields of its outer messages are
walked, which takes no more than their lengths, and all but the initializers' bytes are parsed: some
kilobytes. The wire format is protobuf's (https://protobuf.dev/programming-guides/encoding); field
numbers are taken from the generated classes, not repeated. A message that comes twice is merged, as
protobuf does.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError, one_line
from vggexport.formats.mapped import mapped
from vggexport.network.layers import INPUT_NAME, OUTPUT_NAME
from vggexport.precision import Precision

_INTEGERS = {getattr(onnx.TensorProto, name) for name in ("INT8", "UINT8", "INT4", "UINT4")}
"""What quantizers store weights in."""

_VARINT, _FIXED64, LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
"""Wire types: how a field's value is delimited."""

_VARINT_BYTES = 10  # of the longest, which has 64 bits in groups of seven


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a message, by positions in the file: tag and value are ``begin`` to ``end``."""

    number: int
    begin: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class _Initializer:
    """A constant: its description, and where its bytes are if they are not in it."""

    tensor: Any
    raw: _Field | None


@dataclass(slots=True)
class OnnxFile:
    """An ONNX model, mapped into memory.

    Attributes:
        model: The model without its initializers.

    Raises:
        ArtifactError: It cannot be read, is cut off, or is no ONNX model.
    """

    path: Path
    model: Any = field(init=False)
    _bytes: mmap.mmap = field(init=False)
    _initializers: dict[str, _Initializer] = field(init=False)

    def __post_init__(self) -> None:
        self._bytes = mapped(self.path, "a readable ONNX model")
        self._initializers = {}
        self.model = onnx.ModelProto()
        try:
            self._parse_model()
        except (DecodeError, ValueError) as error:
            raise ArtifactError(
                f"{self.path} is not a readable ONNX model, or is cut off: {one_line(error)}"
            ) from error
        if not self.model.graph.node:
            raise ArtifactError(f"{self.path} is not a readable ONNX model: it has no graph")

    def artifact(self) -> Artifact | None:
        """What the file says of itself, without its size and digest; None for a file not ours.

        Nor is one ours that another tool made of ours: optimizers and quantizers keep the metadata,
        which then describe another graph.

        Raises:
            ArtifactError: It says so in a way that cannot be read.
        """
        properties = {entry.key: entry.value for entry in self.model.metadata_props}
        found = Artifact.found_in(properties, self.path)
        return found if found and self._is_as_written(found) else None

    def _is_as_written(self, described: Artifact) -> bool:
        """Whether the graph's ends, and what floats its weights are, are those told."""
        graph, half = self.model.graph, onnx.TensorProto.FLOAT16
        ends = [*graph.input, *graph.output[:1]]
        if [value.name for value in ends] != [INPUT_NAME, OUTPUT_NAME]:
            return False
        if not described.profile.is_float:
            return True
        stored = {tensor.data_type for tensor in self.initializers if len(tensor.dims) > 1}
        takes_half = graph.input[0].type.tensor_type.elem_type == half
        return (
            stored.isdisjoint(_INTEGERS)
            and (half in stored) == (described.precision is Precision.FLOAT16)
            and not takes_half
        )

    def __contains__(self, name: str) -> bool:
        return name in self._initializers

    @property
    def initializers(self) -> tuple[Any, ...]:
        """Every initializer, without its bytes."""
        return tuple(entry.tensor for entry in self._initializers.values())

    def initializer(self, name: str) -> Any | None:
        """One of them; None where there is none of that name."""
        found = self._initializers.get(name)
        return found and found.tensor

    @property
    def constants(self) -> int:
        """Number of values in all initializers."""
        return sum(prod(entry.tensor.dims) for entry in self._initializers.values())

    def array(self, name: str) -> NDArray[Any]:
        """An initializer's values; a read-only view of the file where it stores them as bytes.

        Raises:
            ValueError: They are in another file, or their shape or type is not that of the bytes.
        """
        tensor, raw = self._initializers[name].tensor, self._initializers[name].raw
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ValueError("its values are in another file: save the model as one file")
        if raw is None:
            array: NDArray[Any] = numpy_helper.to_array(tensor)
            return array
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        part = memoryview(self._bytes)[raw.value : raw.end]
        return np.frombuffer(part, dtype).reshape(tuple(tensor.dims))

    def _parse_model(self) -> None:
        graph = field_number(onnx.ModelProto, "graph")
        for part in self._fields(0, len(self._bytes)):
            if part.number == graph:
                self._parse_graph(part)
            else:
                self.model.MergeFromString(self._bytes[part.begin : part.end])

    def _parse_graph(self, message: _Field) -> None:
        initializer = field_number(onnx.GraphProto, "initializer")
        for part in self._fields(message.value, message.end):
            if part.number == initializer:
                self._parse_initializer(part)
            else:
                self.model.graph.MergeFromString(self._bytes[part.begin : part.end])

    def _parse_initializer(self, message: _Field) -> None:
        raw_data = field_number(onnx.TensorProto, "raw_data")
        tensor, raw = onnx.TensorProto(), None
        for part in self._fields(message.value, message.end):
            if part.number == raw_data:
                raw = part
            else:
                tensor.MergeFromString(self._bytes[part.begin : part.end])
        self._initializers[tensor.name] = _Initializer(tensor, raw)

    def _fields(self, position: int, end: int) -> Iterator[_Field]:
        """The fields of the message between two positions."""
        while position < end:
            tag, value = self._varint(position)
            wire_type = tag & 0b111
            if wire_type == LENGTH_DELIMITED:
                length, value = self._varint(value)
                stop = value + length
            elif wire_type == _VARINT:
                _, stop = self._varint(value)
            elif wire_type in {_FIXED32, _FIXED64}:
                stop = value + (4 if wire_type == _FIXED32 else 8)
            else:
                raise ValueError(f"no message at byte {position:,}")
            if stop > end:
                raise ValueError(f"a field at byte {position:,} goes beyond byte {end:,}")
            yield _Field(tag >> 3, position, value, stop)
            position = stop

    def _varint(self, position: int) -> tuple[int, int]:
        """A base-128 number, the lowest seven bits first, and the position after it."""
        number = 0
        for index, byte in enumerate(self._bytes[position : position + _VARINT_BYTES]):
            number |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return number, position + index + 1
        raise ValueError(f"no number at byte {position:,}")


def field_number(message: type, name: str) -> int:
    """Number of a message's field."""
    number: int = message.DESCRIPTOR.fields_by_name[name].number  # type: ignore[attr-defined]
    return number
