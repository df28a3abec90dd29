"""The weights of an ONNX file, found by the operators that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from vggexport.formats.model_weights import ModelWeights
from vggexport.formats.onnx.mapped_file import OnnxFile
from vggexport.formats.stored_constant import Constant, held_range, in_blocks, unpack_int4
from vggexport.network.layers import MEAN_SUBTRACTION_NAME, Layer
from vggexport.quantization.ranges import observed_layers

_HWIO_FROM_OIHW = (2, 3, 1, 0)
_KERNEL, _BIAS = 1, 2
"""Which input of Conv and Gemm is which; of MatMulNBits the second is the scales."""

_BLOCKWISE = "MatMulNBits"
_CONVOLUTIONS, _PRODUCTS = ("Conv",), ("Gemm", _BLOCKWISE)
_PASSIVE = frozenset({"QuantizeLinear", "DequantizeLinear", "Flatten", "Reshape", "Cast"})
"""Operators that leave values where they are in a row."""


class OnnxWeights(ModelWeights):
    """The weights of an ``.onnx`` file.

    A layer's operator is the one that bears its name. Its weights are its initializers, or what a
    DequantizeLinear makes of some.

    Raises:
        ArtifactError: It cannot be read, is no ONNX model, or is not one of ours.
    """

    def __init__(self, path: Path) -> None:
        self._file = OnnxFile(path)
        super().__init__(path, self._file.artifact())
        nodes = self._file.model.graph.node
        self._operators = {node.name: node for node in nodes}
        self._sources = {output: node for node in nodes for output in node.output}
        self._readers = {source: node for node in nodes for source in node.input}

    @property
    def operators(self) -> tuple[tuple[str, str], ...]:
        """Name and type of every node."""
        return tuple((node.name, node.op_type) for node in self._file.model.graph.node)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Least and largest value that 8 bits hold of what a layer gives, by layer."""
        names = observed_layers(self.artifact.spec)
        found = {}
        for node in self._file.model.graph.node:
            if node.op_type == "QuantizeLinear" and node.input[0] in names:
                scale, zero_point = (self._file.array(name) for name in node.input[1:3])
                found[node.input[0]] = held_range(zero_point.dtype, scale, zero_point)
        return found

    def bias_steps(self, layer: Layer) -> NDArray[np.float32] | None:
        """What a 1 stands for in a layer's stored bias, by output; None where it is no integer."""
        node = self._operators.get(layer.name)
        source = self._sources.get(node.input[_BIAS]) if node and len(node.input) > _BIAS else None
        if source is None or source.op_type != "DequantizeLinear":
            return None
        return self._file.array(source.input[1]).astype(np.float32)

    def _mean(self) -> NDArray[np.float32]:
        node = self._operators.get(MEAN_SUBTRACTION_NAME)
        if node is None or node.op_type != "Sub":
            raise self._missing(MEAN_SUBTRACTION_NAME)
        return self._constant(node.input[1]).real()

    def _kernel(self, layer: Layer) -> NDArray[np.float32]:
        node = self._operator(layer)
        if node.op_type == "Conv":
            return self._constant(node.input[_KERNEL]).transpose(*_HWIO_FROM_OIHW).real()
        kernel = self._matrix(node)
        features = self.artifact.spec.flattened_in_front_of(layer)
        if features and self._takes_chw(node):
            kernel = kernel.rows(_chw_positions_in_hwc_order(*features))
        return kernel.real()

    def _matrix(self, node: Any) -> Constant:
        """A fully connected operator's kernel, (inputs, outputs)."""
        if node.op_type == _BLOCKWISE:
            return Constant(self._blockwise(node))
        kernel = self._constant(node.input[_KERNEL])
        return kernel.transpose(1, 0) if _attribute(node, "transB") else kernel

    def _bias(self, layer: Layer) -> NDArray[np.float32]:
        node = self._operator(layer)
        if node.op_type != _BLOCKWISE:
            return self._constant(node.input[_BIAS]).real()
        product = node.output[0]
        addition = self._readers.get(product)
        if addition is None or addition.op_type != "Add":
            raise self._missing(layer.bias.name)
        (bias,) = (name for name in addition.input if name != product)
        return self._constant(bias).real()

    def _operator(self, layer: Layer) -> Any:
        node = self._operators.get(layer.name)
        if node is None or node.op_type not in (_PRODUCTS if layer.is_matrix else _CONVOLUTIONS):
            raise self._missing(layer.name)
        return node

    def _constant(self, name: str) -> Constant:
        if name in self._file:
            return Constant(self._file.array(name))
        node = self._sources.get(name)
        if node is None or node.op_type != "DequantizeLinear":
            kind = "no constant" if node is None else f"what {node.op_type} computes"
            raise ValueError(f"{name} is {kind}")
        values, scales, *rest = (self._file.array(source) for source in node.input)
        zero_points = rest[0] if rest else np.zeros(1, values.dtype)
        return Constant.per_channel(values, scales, zero_points, _attribute(node, "axis", 1))

    def _blockwise(self, node: Any) -> NDArray[np.float32]:
        """The kernel of a MatMulNBits, which has (outputs, blocks, packed) and a scale a block.

        As ONNX Runtime's ContribOperators.md describes the operator: without zero points, 8 is 0.
        """
        if _attribute(node, "bits") != 4 or any(node.input[3:]):
            raise ValueError("other than int4 in symmetric blocks")
        packed, scales = (self._file.array(name) for name in node.input[1:3])
        outputs = _attribute(node, "N")
        size = _attribute(node, "block_size")
        return in_blocks(unpack_int4(packed), scales.reshape(outputs, -1), size)

    def _takes_chw(self, node: Any) -> bool:
        """Whether the features that an operator reads are flattened as NCHW has them.

        They are in HWC order where a Transpose stands in front of the flattening.
        """
        name = node.input[0]
        for _ in self._sources:  # no more steps than there are tensors
            source = self._sources.get(name)
            if source is None or source.op_type not in _PASSIVE:
                break
            name = source.input[0]
        return source is None or source.op_type != "Transpose"


def _chw_positions_in_hwc_order(height: int, width: int, channels: int) -> NDArray[np.intp]:
    """Where in the features flattened CHW each feature is, listed in HWC order."""
    positions = np.arange(channels * height * width).reshape(channels, height, width)
    return positions.transpose(1, 2, 0).reshape(-1)


def _attribute(node: Any, name: str, default: int = 0) -> int:
    """An integer attribute's value."""
    found = next((entry for entry in node.attribute if entry.name == name), None)
    return default if found is None else int(helper.get_attribute_value(found))
