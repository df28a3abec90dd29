"""The network as data: table 1 of the paper, and one walk over it that derives everything else.

Source: K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", arXiv 1409.1556. Layer names, weight shapes, parameters, multiply-accumulates (MACs)
and receptive fields all come from :meth:`VGGSpec.layers`; nothing else in the package counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import prod
from typing import Any, Self

from vggexport.errors import InputError

MEAN_RGB = (123.68, 116.779, 103.939)
"""Mean of each channel over the ImageNet training set, in 0...255 (section 2.1)."""

INPUT_NAME = "images"
OUTPUT_NAME = "probabilities"
LOGITS_NAME = "predictions"
MEAN_SUBTRACTION_NAME = "mean_subtraction"

CHANNELS = 3
POOL_SIZE = 2

TABLE_1: Mapping[str, str] = {
    "A": "conv3-64 | conv3-128 | conv3-256 conv3-256 | conv3-512 conv3-512 | conv3-512 conv3-512",
    "B": "conv3-64 conv3-64 | conv3-128 conv3-128 | conv3-256 conv3-256"
    " | conv3-512 conv3-512 | conv3-512 conv3-512",
    "C": "conv3-64 conv3-64 | conv3-128 conv3-128 | conv3-256 conv3-256 conv1-256"
    " | conv3-512 conv3-512 conv1-512 | conv3-512 conv3-512 conv1-512",
    "D": "conv3-64 conv3-64 | conv3-128 conv3-128 | conv3-256 conv3-256 conv3-256"
    " | conv3-512 conv3-512 conv3-512 | conv3-512 conv3-512 conv3-512",
    "E": "conv3-64 conv3-64 | conv3-128 conv3-128 | conv3-256 conv3-256 conv3-256 conv3-256"
    " | conv3-512 conv3-512 conv3-512 conv3-512 | conv3-512 conv3-512 conv3-512 conv3-512",
}
"""Columns A to E of table 1 in its notation: "conv<kernel>-<filters>", "|" for max pooling."""

DEFAULT_CONFIGURATION = "D"
DEFAULT_CLASSES = 1000
DEFAULT_FC_UNITS = 4096
DEFAULT_INPUT_SIZE = 224


class LayerKind(StrEnum):
    """The kinds of layer that a VGG network is made of."""

    MEAN_SUBTRACTION = "mean subtraction"
    CONVOLUTION = "convolution"
    MAX_POOLING = "max pooling"
    FLATTEN = "flatten"
    FULLY_CONNECTED = "fully connected"
    SOFTMAX = "softmax"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name and shape of one weights tensor in the native layout.

    Kernels of convolutions are HWIO, of fully connected layers (inputs, outputs) with the
    flattened inputs in HWC order; biases are (outputs,). All are float32.
    """

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, as the walk over the table derives it.

    Attributes:
        name: The name it has in every format and report.
        kind: What it computes.
        kernel_size: Side of the square window, or None where there is none.
        stride: Step of the window, or None where there is none.
        output_shape: Shape of one image's output, HWC or (units,).
        macs: Multiply-accumulates for one image.
        receptive_field: Side of the square of input pixels that one output sees, ignoring the
            border; None for layers other than convolutions and poolings.
        tensors: Its weights: kernel and bias, or nothing.
    """

    name: str
    kind: LayerKind
    output_shape: tuple[int, ...]
    kernel_size: int | None = None
    stride: int | None = None
    macs: int = 0
    receptive_field: int | None = None
    tensors: tuple[TensorSpec, ...] = ()

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        return sum(tensor.size for tensor in self.tensors)

    @property
    def kernel(self) -> TensorSpec:
        """The kernel's name and shape. Only for layers that have weights."""
        return self.tensors[0]

    @property
    def bias(self) -> TensorSpec:
        """The bias' name and shape. Only for layers that have weights."""
        return self.tensors[1]


@dataclass(frozen=True, slots=True)
class Convolution:
    """One "conv3-64" of table 1; stride 1 and same padding always (section 2.1)."""

    kernel_size: int
    filters: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads the paper's notation.

        Raises:
            InputError: ``text`` is not "conv<kernel>-<filters>" with an odd kernel.
        """
        kernel, _, filters = text.removeprefix("conv").partition("-")
        if not (text.startswith("conv") and kernel.isdecimal() and filters.isdecimal()):
            raise InputError(f"layer {text!r} is not of the form conv3-64")
        if int(kernel) % 2 == 0 or int(filters) < 1:
            raise InputError(f"layer {text!r} needs an odd kernel and at least one filter")
        return cls(int(kernel), int(filters))

    def __str__(self) -> str:
        return f"conv{self.kernel_size}-{self.filters}"


def parse_blocks(column: str) -> tuple[tuple[Convolution, ...], ...]:
    """Blocks of convolutions from one column of table 1."""
    return tuple(
        tuple(Convolution.parse(text) for text in block.split()) for block in column.split("|")
    )


@dataclass(frozen=True)
class VGGSpec:
    """One network: a column of table 1 with its three free sizes.

    Attributes:
        configuration: "A" to "E", or any other name for blocks of one's own.
        blocks: The convolutions, block by block; a 2x2 max pooling ends each block.
        classes: Outputs of the last layer.
        fc_units: Outputs of each of the two hidden fully connected layers.
        input_size: Side of the square input in pixels.
        mean_rgb: What the first layer subtracts. The paper's mean but for weights that were trained
            with another, which no rewriting of kernels can replace: padding comes after it.

    Raises:
        InputError: A size is out of range.
    """

    configuration: str
    blocks: tuple[tuple[Convolution, ...], ...]
    classes: int = DEFAULT_CLASSES
    fc_units: int = DEFAULT_FC_UNITS
    input_size: int = DEFAULT_INPUT_SIZE
    mean_rgb: tuple[float, float, float] = MEAN_RGB

    def __post_init__(self) -> None:
        smallest = POOL_SIZE ** len(self.blocks)
        if self.input_size < smallest:
            raise InputError(
                f"input size {self.input_size} is too small: {len(self.blocks)} poolings need at "
                f"least {smallest} pixels"
            )
        if self.classes < 2:
            raise InputError(f"{self.classes} classes: a softmax needs at least 2")
        if self.fc_units < 1:
            raise InputError(f"{self.fc_units} fully connected units: at least 1 is needed")

    @classmethod
    def named(
        cls,
        configuration: str = DEFAULT_CONFIGURATION,
        *,
        classes: int = DEFAULT_CLASSES,
        fc_units: int = DEFAULT_FC_UNITS,
        input_size: int = DEFAULT_INPUT_SIZE,
    ) -> Self:
        """A column of table 1.

        Raises:
            InputError: No such column, or a size is out of range.
        """
        if configuration not in TABLE_1:
            raise InputError(
                f"configuration {configuration!r} is not in table 1: choose from "
                f"{', '.join(TABLE_1)}"
            )
        blocks = parse_blocks(TABLE_1[configuration])
        return cls(configuration, blocks, classes, fc_units, input_size)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer from the mean subtraction to the softmax, in order of computation."""
        return tuple(self._walk())

    def _walk(self) -> Iterator[Layer]:
        size, channels = self.input_size, CHANNELS
        field, jump = 1, 1  # receptive field, and input pixels between neighbouring outputs
        yield Layer(MEAN_SUBTRACTION_NAME, LayerKind.MEAN_SUBTRACTION, (size, size, channels))
        for block_number, block in enumerate(self.blocks, start=1):
            for number, convolution in enumerate(block, start=1):
                field += (convolution.kernel_size - 1) * jump
                layer = _convolution(
                    f"block{block_number}_conv{number}", convolution, size, channels, field
                )
                channels = convolution.filters
                yield layer
            field += (POOL_SIZE - 1) * jump
            jump *= POOL_SIZE
            size //= POOL_SIZE
            yield Layer(
                f"block{block_number}_pool",
                LayerKind.MAX_POOLING,
                (size, size, channels),
                kernel_size=POOL_SIZE,
                stride=POOL_SIZE,
                receptive_field=field,
            )
        units = size * size * channels
        yield Layer("flatten", LayerKind.FLATTEN, (units,))
        outputs = {"fc1": self.fc_units, "fc2": self.fc_units, LOGITS_NAME: self.classes}
        for name, outs in outputs.items():
            yield _fully_connected(name, units, outs)
            units = outs
        yield Layer(OUTPUT_NAME, LayerKind.SOFTMAX, (self.classes,))

    @property
    def weighted_layers(self) -> tuple[Layer, ...]:
        """The convolutions and fully connected layers, in order."""
        return tuple(layer for layer in self.layers if layer.tensors)

    @property
    def tensors(self) -> dict[str, TensorSpec]:
        """Every weights tensor by its name, in order of use."""
        return {tensor.name: tensor for layer in self.layers for tensor in layer.tensors}

    @property
    def parameters(self) -> int:
        """Number of trainable values."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image."""
        return sum(layer.macs for layer in self.layers)

    def layer(self, name: str) -> Layer:
        """The layer of that name.

        Raises:
            KeyError: There is none.
        """
        return {layer.name: layer for layer in self.layers}[name]

    def to_json(self) -> dict[str, Any]:
        """What an artifact records of the network; :meth:`from_json` reads it."""
        return {
            "configuration": self.configuration,
            "blocks": [[str(convolution) for convolution in block] for block in self.blocks],
            "classes": self.classes,
            "fc_units": self.fc_units,
            "input_size": self.input_size,
            "mean_rgb": list(self.mean_rgb),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The network that :meth:`to_json` recorded.

        Raises:
            InputError: A key is missing or a value is of the wrong kind.
        """
        try:
            blocks = tuple(
                tuple(Convolution.parse(text) for text in block) for block in data["blocks"]
            )
            red, green, blue = map(float, data["mean_rgb"])
            return cls(
                str(data["configuration"]),
                blocks,
                int(data["classes"]),
                int(data["fc_units"]),
                int(data["input_size"]),
                (red, green, blue),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"network description is not readable: {error!r}") from error


def _convolution(
    name: str, convolution: Convolution, size: int, channels: int, field: int
) -> Layer:
    kernel, filters = convolution.kernel_size, convolution.filters
    weights = TensorSpec(f"{name}/kernel", (kernel, kernel, channels, filters))
    return Layer(
        name,
        LayerKind.CONVOLUTION,
        (size, size, filters),
        kernel_size=kernel,
        stride=1,
        macs=size * size * weights.size,
        receptive_field=field,
        tensors=(weights, TensorSpec(f"{name}/bias", (filters,))),
    )


def _fully_connected(name: str, inputs: int, outputs: int) -> Layer:
    weights = TensorSpec(f"{name}/kernel", (inputs, outputs))
    return Layer(
        name,
        LayerKind.FULLY_CONNECTED,
        (outputs,),
        macs=weights.size,
        tensors=(weights, TensorSpec(f"{name}/bias", (outputs,))),
    )
