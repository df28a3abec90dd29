"""The network as a TFLite graph, built along the walk of the spec in the precision asked for.

TensorFlow's converter is not needed for it: every layer of the walk is one TFLite operator, and the
converter would allocate what this avoids (5.8 GiB for VGG-D). The file is held to the Keras network
when it is checked.

What a layer with weights computes in is its :class:`Scheme`; where two neighbours differ, a
conversion goes between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.formats.tflite.graph import Blocks, Graph, Operator, Tensor
from vggexport.network.layers import (
    CHANNELS,
    INPUT_NAME,
    LOGITS_NAME,
    MEAN_SUBTRACTION_NAME,
    OUTPUT_NAME,
    Layer,
    LayerKind,
)
from vggexport.precision import Precision
from vggexport.quantization.int4 import BLOCK_SIZE
from vggexport.quantization.int8 import ActivationQuantization

MEAN_NAME = f"{MEAN_SUBTRACTION_NAME}/mean_rgb"
BLOCK_SCALES_SUFFIX = "/scales"
LOGITS_HEADROOM = 8.0
"""int16 logits reach so many times as far as calibration saw: none is clipped, and a step is still
16 times finer than one of int8 over the calibrated range."""

_INT16_MAX = 32767
_PROBABILITY = ActivationQuantization(1 / 256, -128)
"""The only parameters that TFLite's integer softmax has: 0...255/256 on -128...127."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """Data types of a layer with weights.

    Attributes:
        activation: Of what it reads and computes.
        kernel: Of its kernel.
        bias: Of its bias.
        convolution_version: Version of CONV_2D that has it, as TensorFlow's op_version.cc gives it;
            0 where none is used.
        fully_connected_version: Of FULLY_CONNECTED.
    """

    activation: str
    kernel: str
    bias: str
    convolution_version: int = 0
    fully_connected_version: int = 0


FLOAT32 = Scheme("float32", "float32", "float32", 1, 1)
FLOAT16 = Scheme("float32", "float16", "float16", 1, 1)
DYNAMIC = Scheme("float32", "int8", "float32", 5, 12)
INTEGER = Scheme("int8", "int8", "int32", 3, 4)
WIDE = Scheme("int16", "int8", "int64", 0, 7)
"""The last layer of int8 files. TFLite has no integer layer with a float output; int16 logits are
as good as float ones, and an int8 activation goes into int16 exactly."""
BLOCKWISE = Scheme("float32", "int4", "float32", 0, 1)


def scheme(artifact: Artifact, layer: Layer) -> Scheme:
    """What a layer with weights computes in."""
    match artifact.precision:
        case Precision.FLOAT32:
            return FLOAT32
        case Precision.FLOAT16:
            return FLOAT16
        case Precision.DYNAMIC_INT8:
            return DYNAMIC
        case Precision.INT8_W4 if layer.kind is LayerKind.FULLY_CONNECTED:
            return BLOCKWISE
        case Precision.INT8 if layer.name == LOGITS_NAME and not artifact.full_integer:
            return WIDE
        case Precision.INT8 | Precision.INT8_W4:
            return INTEGER


def build_graph(artifact: Artifact, activations: Mapping[str, ActivationQuantization]) -> Graph:
    """The graph of a file, its weights still without values.

    Args:
        artifact: Which file.
        activations: int8 parameters by layer name; empty for precisions that need none.

    Returns:
        A graph from ``images`` to ``probabilities``. The tensor that a layer computes bears the
        layer's name; a conversion of it, the name and the data type.
    """
    network = _Network(artifact, activations)
    current = network.images()
    for layer in artifact.spec.layers:
        current = network.layer(layer, current)
    return network.graph


class _Network:
    """The graph as it grows; every method adds one layer behind the tensor that it is given."""

    def __init__(
        self, artifact: Artifact, activations: Mapping[str, ActivationQuantization]
    ) -> None:
        name = f"vgg_{artifact.spec.configuration.lower()}"
        self.graph = Graph(name, artifact.batch)
        self._artifact = artifact
        self._activations = dict(activations)
        if not artifact.full_integer and LOGITS_NAME in activations:
            self._activations[LOGITS_NAME] = _wide_logits(activations[LOGITS_NAME])

    def images(self) -> Tensor:
        size = self._artifact.spec.input_size
        pixels = ActivationQuantization(1.0, 0) if self._artifact.full_integer else None
        dtype = self._artifact.input_dtype
        return self.graph.add(Tensor(INPUT_NAME, dtype, (size, size, CHANNELS), pixels))

    def layer(self, layer: Layer, source: Tensor) -> Tensor:
        match layer.kind:
            case LayerKind.MEAN_SUBTRACTION:
                return self._mean_subtraction(layer, source)
            case LayerKind.CONVOLUTION | LayerKind.FULLY_CONNECTED:
                return self._weighted(layer, source)
            case LayerKind.MAX_POOLING:
                return self._pooling(layer, source)
            case LayerKind.FLATTEN:
                return self._flatten(layer, source)
            case LayerKind.SOFTMAX:
                return self._softmax(layer, source)

    def _mean_subtraction(self, layer: Layer, source: Tensor) -> Tensor:
        mean = np.asarray(self._artifact.spec.mean_rgb, np.float32)
        options = schema.SubOptionsT()
        if not self._artifact.full_integer:
            source = self._converted(source, "float32")
            constant = Tensor(MEAN_NAME, "float32", mean.shape, data=mean)
            return self._operator("SUB", 1, [source, constant], layer, "float32", options)
        source = self._converted(source, "int8", ActivationQuantization(1.0, -128))
        integers, parameters = quantized_mean(mean)
        constant = Tensor(MEAN_NAME, "int8", mean.shape, parameters, data=integers)
        return self._operator("SUB", 2, [source, constant], layer, "int8", options)

    def _weighted(self, layer: Layer, source: Tensor) -> Tensor:
        how = scheme(self._artifact, layer)
        source = self._converted(source, how.activation)
        kernel = self._kernel(layer, how)
        bias = self._bias(layer, how)
        if layer.kind is LayerKind.CONVOLUTION:
            operator, version = "CONV_2D", how.convolution_version
        else:
            operator, version = "FULLY_CONNECTED", how.fully_connected_version
        options = _options(layer, how)
        return self._operator(
            operator, version, [source, kernel, bias], layer, how.activation, options
        )

    def _kernel(self, layer: Layer, how: Scheme) -> Tensor:
        *inputs, outputs = layer.kernel.shape
        shape = (outputs, *inputs)
        name = layer.kernel.name
        blocks = None
        if how is BLOCKWISE:
            blocks = Blocks(BLOCK_SIZE, f"{name}{BLOCK_SCALES_SUFFIX}")
            scales_shape = (outputs, prod(inputs) // BLOCK_SIZE)
            self.graph.add(Tensor(blocks.scales, "float16", scales_shape, is_weight=True))
        kernel = Tensor(
            name,
            how.kernel,
            shape,
            channels=outputs if how.kernel == "int8" else 0,
            blocks=blocks,
            is_weight=True,
        )
        return self._float_weight(self.graph.add(kernel))

    def _bias(self, layer: Layer, how: Scheme) -> Tensor:
        is_integer = how.bias in {"int32", "int64"}
        bias = Tensor(
            layer.bias.name,
            how.bias,
            layer.bias.shape,
            channels=layer.bias.size if is_integer else 0,
            is_weight=True,
        )
        return self._float_weight(self.graph.add(bias))

    def _float_weight(self, weight: Tensor) -> Tensor:
        """A float16 weight is converted where it is read: TFLite computes in float32."""
        if weight.dtype != "float16":
            return weight
        output = Tensor(f"{weight.name}/float32", "float32", weight.shape, is_static=True)
        return self._append("DEQUANTIZE", 3, [weight], output, schema.DequantizeOptionsT())

    def _pooling(self, layer: Layer, source: Tensor) -> Tensor:
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.VALID
        options.filterHeight = options.filterWidth = layer.kernel_size
        options.strideH = options.strideW = layer.stride
        version = 2 if source.dtype == "int8" else 1
        return self._operator("MAX_POOL_2D", version, [source], layer, source.dtype, options)

    def _flatten(self, layer: Layer, source: Tensor) -> Tensor:
        shape = np.asarray((self.graph.batch or -1, *layer.output_shape), np.int32)
        constant = Tensor(f"{layer.name}/shape", "int32", shape.shape, data=shape)
        options = schema.ReshapeOptionsT()
        options.newShape = shape.tolist()
        return self._operator("RESHAPE", 1, [source, constant], layer, source.dtype, options)

    def _softmax(self, layer: Layer, source: Tensor) -> Tensor:
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        if not self._artifact.full_integer:
            source = self._converted(source, "float32")
            return self._operator("SOFTMAX", 1, [source], layer, "float32", options)
        inner = Tensor(f"{OUTPUT_NAME}/int8", "int8", layer.output_shape, _PROBABILITY)
        self._append("SOFTMAX", 2, [source], inner, options)
        outer = ActivationQuantization(_PROBABILITY.scale, 0)
        output = Tensor(OUTPUT_NAME, "uint8", layer.output_shape, outer)
        return self._append("QUANTIZE", 1, [inner], output, schema.QuantizeOptionsT())

    def _operator(
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
        return self._append(operator, version, inputs, output, options)

    def _append(
        self, operator: str, version: int, inputs: list[Tensor], output: Tensor, options: object
    ) -> Tensor:
        for constant in inputs:
            if constant.data is not None:
                self.graph.add(constant)
        names = tuple(tensor.name for tensor in inputs)
        self.graph.operators.append(Operator(operator, version, names, output.name, options))
        return self.graph.add(output)

    def _converted(
        self, source: Tensor, dtype: str, quantization: ActivationQuantization | None = None
    ) -> Tensor:
        """The tensor in another data type, by a conversion of its own."""
        if source.dtype == dtype:
            return source
        if dtype == "int16":  # by way of float: older runtimes have no way from int8 to int16
            quantization = _widened(source)
            source = self._converted(source, "float32")
        name = f"{source.name.removesuffix('/float32')}/{dtype}"
        if dtype == "float32":
            output = Tensor(name, dtype, source.shape)
            if source.dtype == "uint8":
                options = schema.CastOptionsT()
                options.inDataType = schema.TensorType.UINT8
                options.outDataType = schema.TensorType.FLOAT32
                return self._append("CAST", 1, [source], output, options)
            version = 2 if source.dtype == "int8" else 3
            return self._append(
                "DEQUANTIZE", version, [source], output, schema.DequantizeOptionsT()
            )
        output = Tensor(name, dtype, source.shape, quantization or self._activations[source.name])
        version = 2 if dtype == "int16" else 1
        return self._append("QUANTIZE", version, [source], output, schema.QuantizeOptionsT())


def _options(layer: Layer, how: Scheme) -> object:
    is_logits = layer.name == LOGITS_NAME
    functions = schema.ActivationFunctionType
    function = functions.NONE if is_logits else functions.RELU
    if layer.kind is LayerKind.CONVOLUTION:
        convolution = schema.Conv2DOptionsT()
        convolution.padding = schema.Padding.SAME
        convolution.strideH = convolution.strideW = layer.stride
        convolution.dilationHFactor = convolution.dilationWFactor = 1
        convolution.fusedActivationFunction = function
        return convolution
    fully_connected = schema.FullyConnectedOptionsT()
    fully_connected.fusedActivationFunction = function
    fully_connected.asymmetricQuantizeInputs = how in {DYNAMIC, BLOCKWISE}
    return fully_connected


def _widened(source: Tensor) -> ActivationQuantization:
    """int16 with the scale of int8 and no zero point: integer minus zero point, exactly."""
    if source.quantization is None:
        raise ValueError(f"{source.name} has no quantization parameters")
    return ActivationQuantization(source.quantization.scale, 0)


def _wide_logits(narrow: ActivationQuantization) -> ActivationQuantization:
    reach = narrow.scale * max(127 - narrow.zero_point, narrow.zero_point + 128)
    return ActivationQuantization(float(np.float32(reach * LOGITS_HEADROOM / _INT16_MAX)), 0)


def quantized_mean(
    mean: NDArray[np.float32],
) -> tuple[NDArray[np.int8], ActivationQuantization]:
    """The mean in int8 at the scale, of those that reach its largest value, that rounds it least.

    Args:
        mean: float32 (3,), 0 or more.

    Returns:
        The integers and their parameters; for the paper's mean 0.03 of a pixel's 255 off at most.
    """
    scales = max(float(mean.max()), 1.0) / np.arange(128, 256)
    errors = np.abs(np.rint(mean / scales[:, None]) * scales[:, None] - mean).max(axis=1)
    scale = float(np.float32(scales[errors.argmin()]))
    return (np.rint(mean / scale) - 128).astype(np.int8), ActivationQuantization(scale, -128)
