"""A TFLite graph as it grows along the walk, and the conversions between its data types."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from vggexport.artifact import Artifact
from vggexport.formats.tflite.graph import Graph, Operator, Tensor
from vggexport.network.layers import INPUT_NAME, LOGITS_NAME, Layer
from vggexport.quantization.int8 import ActivationQuantization

LOGITS_HEADROOM = 8.0
"""int16 logits reach so many times as far as calibration saw: none is clipped, and a step is still
16 times finer than one of int8 over the calibrated range."""

_INT16_MAX = 32767


class GrowingGraph:
    """The graph so far; every method adds something after the tensor that it is given."""

    def __init__(
        self, artifact: Artifact, activations: Mapping[str, ActivationQuantization]
    ) -> None:
        name = f"vgg_{artifact.spec.configuration.lower()}"
        self.graph = Graph(name, artifact.batch)
        self.artifact = artifact
        self._activations = dict(activations)
        if not artifact.full_integer and LOGITS_NAME in activations:
            self._activations[LOGITS_NAME] = _wide_logits(activations[LOGITS_NAME])

    def images(self) -> Tensor:
        """The input."""
        pixels = ActivationQuantization(1.0, 0) if self.artifact.full_integer else None
        dtype = self.artifact.input_dtype
        shape = self.artifact.spec.image_shape
        return self.graph.add(Tensor(INPUT_NAME, dtype, shape, pixels))

    def operator(
        self,
        operator: str,
        version: int,
        inputs: list[Tensor],
        layer: Layer,
        dtype: str,
        options: object,
    ) -> Tensor:
        """Adds a layer's operator; what it moves or computes in integers has its parameters."""
        quantization = None
        if dtype in {"int8", "int16"}:
            quantization = self._activations.get(layer.name, inputs[0].quantization)
        output = Tensor(layer.name, dtype, layer.output_shape, quantization)
        return self.append(operator, version, inputs, output, options)

    def append(
        self, operator: str, version: int, inputs: list[Tensor], output: Tensor, options: object
    ) -> Tensor:
        """Adds an operator, the constants among its inputs and its output."""
        for constant in inputs:
            if constant.data is not None:
                self.graph.add(constant)
        names = tuple(tensor.name for tensor in inputs)
        self.graph.operators.append(Operator(operator, version, names, output.name, options))
        return self.graph.add(output)

    def converted(
        self, source: Tensor, dtype: str, quantization: ActivationQuantization | None = None
    ) -> Tensor:
        """The tensor in another data type, by a conversion of its own."""
        if source.dtype == dtype:
            return source
        if dtype == "int16":  # by way of float: older runtimes have no way from int8 to int16
            quantization = _widened(source)
            source = self.converted(source, "float32")
        name = f"{source.name.removesuffix('/float32')}/{dtype}"
        if dtype == "float32":
            output = Tensor(name, dtype, source.shape)
            if source.dtype == "uint8":
                options = schema.CastOptionsT()
                options.inDataType = schema.TensorType.UINT8
                options.outDataType = schema.TensorType.FLOAT32
                return self.append("CAST", 1, [source], output, options)
            version = 2 if source.dtype == "int8" else 3
            return self.append("DEQUANTIZE", version, [source], output, schema.DequantizeOptionsT())
        output = Tensor(name, dtype, source.shape, quantization or self._activations[source.name])
        version = 2 if dtype == "int16" else 1
        return self.append("QUANTIZE", version, [source], output, schema.QuantizeOptionsT())


def _widened(source: Tensor) -> ActivationQuantization:
    """int16 with the scale of int8 and no zero point: integer minus zero point, exactly."""
    if source.quantization is None:
        raise ValueError(f"{source.name} has no quantization parameters")
    return ActivationQuantization(source.quantization.scale, 0)


def _wide_logits(narrow: ActivationQuantization) -> ActivationQuantization:
    reach = narrow.scale * max(127 - narrow.zero_point, narrow.zero_point + 128)
    return ActivationQuantization(float(np.float32(reach * LOGITS_HEADROOM / _INT16_MAX)), 0)
