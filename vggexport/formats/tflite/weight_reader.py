"""The weights of a TFLite file, found by the operators that read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.formats.model_weights import ModelWeights
from vggexport.formats.stored_constant import (
    INT4_ZERO_POINT,
    Constant,
    held_range,
    in_blocks,
    unpack_int4,
)
from vggexport.formats.tflite.file_reader import TfliteFile, TfliteOperator, TfliteTensor
from vggexport.formats.tflite.inspector import description
from vggexport.network.layers import INPUT_NAME, MEAN_SUBTRACTION_NAME, OUTPUT_NAME, Layer
from vggexport.quantization.ranges import observed_layers
from vggexport.results.build import TensorDescription

_KERNEL, _BIAS = 1, 2
"""Which input of these is which."""

_HWIO_FROM_OHWI = (1, 2, 3, 0)


class TfliteWeights(ModelWeights):
    """The weights of a ``.tflite`` file.

    A layer's operator is the one that computes the tensor of its name.

    Raises:
        ArtifactError: It cannot be read, is no TFLite model, or is not one of ours.
    """

    def __init__(self, path: Path) -> None:
        self._file = TfliteFile(path)
        super().__init__(path, self._file.artifact())
        self._sources = {
            index: operator for operator in self._file.operators for index in operator.outputs
        }
        self._operators = {
            self._file.tensors[index].name: operator for index, operator in self._sources.items()
        }

    @property
    def input(self) -> TensorDescription:
        """What the file takes."""
        return self._end(INPUT_NAME)

    @property
    def output(self) -> TensorDescription:
        """What the file gives."""
        return self._end(OUTPUT_NAME)

    @property
    def operators(self) -> tuple[tuple[str, str], ...]:
        """Name of what it gives, and type, of every operator."""
        tensors = self._file.tensors
        return tuple(
            (tensors[operator.outputs[0]].name if operator.outputs else "", operator.type)
            for operator in self._file.operators
        )

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Least and largest value that 8 bits hold of what a layer gives, by layer."""
        names = observed_layers(self.artifact.spec)
        return {
            tensor.name: held_range(tensor.dtype, tensor.scales[0], tensor.zero_points[0])
            for tensor in self._file.tensors
            if tensor.name in names and tensor.scales.size == 1 and tensor.dtype == "int8"
        }

    def bias_steps(self, layer: Layer) -> NDArray[np.float32] | None:
        """What a 1 stands for in a layer's stored bias, by output; None where it is no integer."""
        scales = self._stored(self._weighted(layer), _BIAS).scales
        return scales.astype(np.float32) if scales.size else None

    def _end(self, name: str) -> TensorDescription:
        tensor = self._file.signature.get(name)
        if tensor is None:
            raise self._missing(name)
        return description(tensor, name)

    def _mean(self) -> NDArray[np.float32]:
        operator = self._operator(MEAN_SUBTRACTION_NAME, "SUB")
        return self._constant(operator, 1).real()

    def _kernel(self, layer: Layer) -> NDArray[np.float32]:
        operator = self._weighted(layer)
        tensor = self._stored(operator, _KERNEL)
        if tensor.dtype == "int4":
            return self._blockwise(tensor)
        axes = (1, 0) if layer.is_matrix else _HWIO_FROM_OHWI
        return _constant(tensor).transpose(*axes).real()

    def _bias(self, layer: Layer) -> NDArray[np.float32]:
        operator = self._weighted(layer)
        return self._constant(operator, _BIAS).real()

    def _weighted(self, layer: Layer) -> TfliteOperator:
        return self._operator(layer.name, "FULLY_CONNECTED" if layer.is_matrix else "CONV_2D")

    def _operator(self, output: str, kind: str) -> TfliteOperator:
        operator = self._operators.get(output)
        if operator is None or operator.type != kind:
            raise self._missing(output)
        return operator

    def _constant(self, operator: TfliteOperator, position: int) -> Constant:
        return _constant(self._stored(operator, position))

    def _stored(self, operator: TfliteOperator, position: int) -> TfliteTensor:
        """An operator's constant input as the file has it, in front of a conversion to float32."""
        index = operator.inputs[position]
        if index < 0:
            raise ValueError("left out")
        source = self._sources.get(index)
        if source is not None and source.type == "DEQUANTIZE":
            index = source.inputs[0]
        return self._file.tensors[index]

    def _blockwise(self, tensor: TfliteTensor) -> NDArray[np.float32]:
        """An int4 kernel, (outputs, inputs), whose blocks' scales are a tensor of their own."""
        if not tensor.block_size:
            raise ValueError("int4 without blocks")
        scales = _constant(self._file.tensors[tensor.block_scales]).real()
        halves = unpack_int4(tensor.data)
        halves ^= np.uint8(INT4_ZERO_POINT)  # two's complement: -8...7 becomes 0...15
        return in_blocks(halves, scales, tensor.block_size)


def _constant(tensor: TfliteTensor) -> Constant:
    if not tensor.data.size:
        raise ValueError(f"{tensor.name} is not a constant")
    values = tensor.data.view(np.dtype(tensor.dtype)).reshape(tensor.shape)
    if not tensor.scales.size:
        return Constant(values)
    return Constant.per_channel(values, tensor.scales, tensor.zero_points, tensor.axis)
