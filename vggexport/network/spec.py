"""The network as data: a column of table 1 of the paper, and its free sizes.

Source: K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", arXiv 1409.1556. What follows from it, layer by layer, is in
``vggexport.network.layers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from vggexport.errors import InputError
from vggexport.network.layers import POOL_SIZE, Layer, LayerKind, TensorSpec, walk
from vggexport.network.table import TABLE_1, Convolution, parse_blocks

MEAN_RGB = (123.68, 116.779, 103.939)
"""Mean of each channel over the ImageNet training set, in 0...255 (section 2.1)."""

DEFAULT_CONFIGURATION = "D"
DEFAULT_CLASSES = 1000
DEFAULT_FC_UNITS = 4096
DEFAULT_INPUT_SIZE = 224


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
        return tuple(walk(self))

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

    def flattened_in_front_of(self, layer: Layer) -> tuple[int, ...] | None:
        """Shape, HWC, of what is flattened to a layer's input; None for all other layers."""
        *_, features, flatten = (None, None, *self.layers[: self.layers.index(layer)])
        if features is None or flatten is None or flatten.kind is not LayerKind.FLATTEN:
            return None
        return features.output_shape

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
