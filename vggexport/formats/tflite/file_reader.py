"""Reading a TFLite file without running it, and without trusting it.

LiteRT reads past the end of a file that was cut off, so what is handed in is looked through first:
every table, and that every buffer lies inside the file.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError
from vggexport.formats.mapped import mapped

IDENTIFIER = b"TFL3"

_DAMAGE = (
    AttributeError, IndexError, KeyError, OverflowError, struct.error, TypeError, ValueError,
)  # fmt: skip
"""What the generated classes raise where an offset leads out of the file or to something else."""

_DTYPES = {
    number: name.lower() for name, number in vars(schema.TensorType).items() if name.isupper()
}
_OPERATORS = {
    number: name for name, number in vars(schema.BuiltinOperator).items() if name.isupper()
}

_OUTPUTS_SLOT = 8  # SubGraph.outputs, the third field, in a table's vtable
_OFFSET_BYTES = 4
_LEFT_OUT = -1  # stands for an optional input that an operator does not get


@dataclass(frozen=True, slots=True)
class TfliteTensor:
    """One tensor.

    Attributes:
        index: Its number, as the interpreter counts.
        name: Its name.
        dtype: "float32", "int4" and so on.
        shape: Its shape, -1 where it is free.
        scales: float32, of an integer tensor: one, or one for each index of ``axis``; else empty.
        zero_points: int64, as many.
        axis: Which axis has a scale each.
        block_size: Values along the last axis that share a scale of a further tensor; 0 if none.
        block_scales: Index of that tensor; -1 if none.
        data: Its bytes as uint8 where it is a constant, else empty.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int
    block_size: int
    block_scales: int
    data: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TfliteOperator:
    """One operator: its type in TFLite's words, its version, and numbers of tensors.

    A custom one has a name, too.
    """

    type: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    name: str = ""


class TfliteFile:
    """A model file, mapped into memory.

    Raises:
        ArtifactError: It cannot be read, is no TFLite model, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bytes = mapped(path, "a TFLite model")
        if self._bytes[_OFFSET_BYTES : 2 * _OFFSET_BYTES] != IDENTIFIER:
            raise ArtifactError(f"{path} is not a TFLite model: it does not begin like one")
        try:
            self._model = schema.Model.GetRootAs(self._bytes, 0)
            self._graph = self._model.Subgraphs(0)
            self._look_through()
        except _DAMAGE as error:
            raise ArtifactError(
                f"{path} is cut off or damaged: not a whole TFLite model"
            ) from error

    def _look_through(self) -> None:
        for count in (self._graph.TensorsLength(), self._graph.OperatorsLength()):
            if count * _OFFSET_BYTES > len(self._bytes):
                raise ValueError(f"{count} entries in {len(self._bytes)} bytes")
        for tensor in self.tensors:
            self._check_quantization(tensor)
        for operator in self.operators:
            for index in (*operator.outputs, *(i for i in operator.inputs if i != _LEFT_OUT)):
                self._known(index)
        if not (self.operators and self.inputs and self.outputs):
            raise ValueError("nothing to compute")
        _ = self.signature, self.metadata

    @cached_property
    def tensors(self) -> tuple[TfliteTensor, ...]:
        """All tensors, by number."""
        return tuple(self._tensor(index) for index in range(self._graph.TensorsLength()))

    @cached_property
    def operators(self) -> tuple[TfliteOperator, ...]:
        """All operators, in order."""
        return tuple(self._operators())

    @cached_property
    def inputs(self) -> tuple[TfliteTensor, ...]:
        """What the model takes."""
        return tuple(self._known(i) for i in self._graph.InputsAsNumpy())

    @cached_property
    def outputs(self) -> tuple[TfliteTensor, ...]:
        """What the model gives."""
        return tuple(self._known(i) for i in self._graph.OutputsAsNumpy())

    @cached_property
    def signature(self) -> dict[str, TfliteTensor]:
        """Inputs and outputs of the first signature by name; by the tensors' names without one."""
        if not self._model.SignatureDefsLength():
            return {tensor.name: tensor for tensor in (*self.inputs, *self.outputs)}
        signature = self._model.SignatureDefs(0)
        pairs = [signature.Inputs(i) for i in range(signature.InputsLength())]
        pairs += [signature.Outputs(i) for i in range(signature.OutputsLength())]
        return {pair.Name().decode(): self._known(pair.TensorIndex()) for pair in pairs}

    @cached_property
    def metadata(self) -> dict[str, bytes]:
        """Metadata buffers by name."""
        entries = [self._model.Metadata(i) for i in range(self._model.MetadataLength())]
        return {e.Name().decode(): self._buffer(e.Buffer()).tobytes() for e in entries}

    def artifact(self) -> Artifact | None:
        """What the file says of itself, without its size and digest; None for a file not ours.

        Raises:
            ArtifactError: It says so in a way that cannot be read.
        """
        return Artifact.found_in(self.metadata, self.path)

    def write_with_outputs(self, tensors: Iterable[TfliteTensor], path: Path) -> None:
        """Writes a copy whose outputs are other tensors.

        The numbers of the outputs go after the copied bytes, and the graph's offset to them is set
        anew; nothing else changes.
        """
        shutil.copyfile(self.path, path)
        numbers = np.asarray([tensor.index for tensor in tensors], "<i4")
        table = self._graph._tab  # noqa: SLF001  the generated classes do not tell places
        field = table.Pos + table.Offset(_OUTPUTS_SLOT)
        with path.open("r+b") as file:
            end = file.seek(0, 2)
            file.write(bytes(-end % _OFFSET_BYTES))
            vector = file.tell()
            file.write(struct.pack("<I", len(numbers)) + numbers.tobytes())
            file.seek(field)
            file.write(struct.pack("<I", vector - field))

    def options(self, number: int, table: Any) -> Any:
        """The options of an operator, as the generated class of them; None where it has none."""
        found = self._graph.Operators(number).BuiltinOptions()
        if found is None:
            return None
        options = table()
        options.Init(found.Bytes, found.Pos)
        return options

    def _check_quantization(self, tensor: TfliteTensor) -> None:
        """Refuses parameters on which LiteRT's kernels end the process."""
        if not (np.isfinite(tensor.scales).all() and (tensor.scales >= 0).all()):
            raise ValueError(f"scales of {tensor.name}")
        if tensor.dtype in {"int8", "uint8", "int16"}:
            limits = np.iinfo(tensor.dtype)
            if ((tensor.zero_points < limits.min) | (tensor.zero_points > limits.max)).any():
                raise ValueError(f"zero points of {tensor.name}")
        if tensor.block_scales >= 0 or tensor.block_size:
            scales = self._known(tensor.block_scales)
            if tensor.block_size < 1 or not scales.data.size:
                raise ValueError(f"blocks of {tensor.name}")

    def _known(self, index: int) -> TfliteTensor:
        if not 0 <= index < len(self.tensors):
            raise IndexError(f"there is no tensor {index}")
        return self.tensors[index]

    def _tensor(self, index: int) -> TfliteTensor:
        tensor = self._graph.Tensors(index)
        quantization = tensor.Quantization()
        has_scales = quantization is not None and quantization.ScaleLength()
        return TfliteTensor(
            index,
            tensor.Name().decode(),
            _DTYPES[tensor.Type()],
            _shape(tensor),
            quantization.ScaleAsNumpy() if has_scales else np.empty(0, np.float32),
            quantization.ZeroPointAsNumpy() if has_scales else np.empty(0, np.int64),
            quantization.QuantizedDimension() if has_scales else 0,
            *_blocks(quantization),
            self._buffer(tensor.Buffer()),
        )

    def _buffer(self, index: int) -> NDArray[np.uint8]:
        buffer = self._model.Buffers(index)
        if not buffer.DataLength():
            return np.empty(0, np.uint8)
        data: NDArray[np.uint8] = buffer.DataAsNumpy()
        return data

    def _operators(self) -> Iterator[TfliteOperator]:
        codes = [self._model.OperatorCodes(i) for i in range(self._model.OperatorCodesLength())]
        for index in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(index)
            code = codes[operator.OpcodeIndex()]
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            yield TfliteOperator(
                _OPERATORS[number],
                code.Version(),
                _numbers(operator.InputsAsNumpy()),
                _numbers(operator.OutputsAsNumpy()),
                (code.CustomCode() or b"").decode(),
            )


def _shape(tensor: Any) -> tuple[int, ...]:
    """With its free sizes, which a signature beside the shape has, if there is one."""
    if tensor.ShapeSignatureLength():
        return _numbers(tensor.ShapeSignatureAsNumpy())
    return _numbers(tensor.ShapeAsNumpy())


def _numbers(vector: NDArray[np.int32] | int) -> tuple[int, ...]:
    """A vector's values; the generated classes give 0 where there is none."""
    return () if isinstance(vector, int) else tuple(int(number) for number in vector)


def _blocks(quantization: Any) -> tuple[int, int]:
    """Size of the blocks, and index of the tensor of their scales."""
    blockwise = schema.QuantizationDetails.BlockwiseQuantization
    if quantization is None or quantization.DetailsType() != blockwise:
        return 0, -1
    details = schema.BlockwiseQuantization()
    table = quantization.Details()
    details.Init(table.Bytes, table.Pos)
    return int(details.BlockSize()), int(details.Scales())
