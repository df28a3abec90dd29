"""The network as data: blocks of convolutions, the paper's or one's own, and what is around them.

Source: K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", arXiv 1409.1556. What follows from it, layer by layer, is in
``vggexport.network.layers``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from vggexport.errors import Advice, InputError
from vggexport.network.head import FullyConnected, HeadActivation, Pooling, fully_connected
from vggexport.network.layers import (
    CHANNELS,
    IN_FRONT_OF_HEAD,
    POOL_SIZE,
    Layer,
    LayerKind,
    TensorSpec,
    walk,
)
from vggexport.network.table import TABLE_1, Convolution, parse_blocks
from vggexport.system.number_text import counted

MEAN_RGB = (123.68, 116.779, 103.939)
"""Mean of each channel over the ImageNet training set, in 0...255 (section 2.1)."""
PIXEL_MAX = 255.0

DEFAULT_CONFIGURATION = "D"
DEFAULT_CLASSES = 1000
DEFAULT_FC_UNITS = (4096, 4096)
DEFAULT_INPUT_SIZE = (224, 224)

UNSAID_IN_0_1_0: dict[str, Any] = {
    "hidden_relu": [True, True],
    "last_pooling": True,
    "pooling": "flatten",
    "head_activation": "softmax",
}
"""What descriptions by version 0.1.0, which knew no other networks, do not say."""


@dataclass(frozen=True)
class VGGSpec:
    """One network: the paper's, or one of its kind.

    Attributes:
        configuration: "A" to "E", or any other name for blocks of one's own.
        blocks: The convolutions, block by block; a ReLU follows each, a 2x2 max pooling each block.
        classes: Outputs of the last layer.
        hidden: The fully connected layers in front of it.
        input_size: Height and width of the input in pixels.
        mean_rgb: What the first layer subtracts. The paper's mean but for weights that were trained
            with another, which no rewriting of kernels can replace: padding comes after it.
        last_pooling: Whether a pooling follows the last block, too.
        pooling: What the head makes of the features.
        head_activation: What it ends in.

    Raises:
        InputError: A size is out of range.
    """

    configuration: str
    blocks: tuple[tuple[Convolution, ...], ...]
    classes: int = DEFAULT_CLASSES
    hidden: tuple[FullyConnected, ...] = fully_connected(*DEFAULT_FC_UNITS)
    input_size: tuple[int, int] = DEFAULT_INPUT_SIZE
    mean_rgb: tuple[float, float, float] = MEAN_RGB
    last_pooling: bool = True
    pooling: Pooling = Pooling.FLATTEN
    head_activation: HeadActivation = HeadActivation.SOFTMAX

    def __post_init__(self) -> None:
        poolings = len(self.blocks) - (not self.last_pooling)
        smallest = POOL_SIZE**poolings
        if min(self.input_size) < smallest:
            raise InputError(
                f"input size {size_text(self.input_size)} is too small: {poolings} poolings need "
                f"at least {smallest} pixels"
            )
        if self.classes < (least := self.head_activation.least_outputs):
            raise InputError(
                f"{counted(self.classes, 'class')}: a {self.head_activation} needs at least "
                f"{least}",
                Advice("say {} sigmoid if one output is all", "head_activation"),
                Advice("choose {} 2 or more", "classes"),
            )
        for units in self.fc_units:
            if units < 1:
                raise InputError(f"{units} fully connected units: at least 1 is needed")

    @classmethod
    def named(
        cls,
        configuration: str = DEFAULT_CONFIGURATION,
        *,
        classes: int = DEFAULT_CLASSES,
        fc_units: Sequence[int] = DEFAULT_FC_UNITS,
        input_size: tuple[int, int] = DEFAULT_INPUT_SIZE,
        pooling: Pooling = Pooling.FLATTEN,
        head_activation: HeadActivation = HeadActivation.SOFTMAX,
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
        return cls(
            configuration,
            parse_blocks(TABLE_1[configuration]),
            classes,
            fully_connected(*fc_units),
            input_size,
            pooling=pooling,
            head_activation=head_activation,
        )

    @property
    def fc_units(self) -> tuple[int, ...]:
        """Outputs of each hidden fully connected layer."""
        return tuple(hidden.units for hidden in self.hidden)

    @property
    def label_count(self) -> int:
        """Classes that it tells apart: one output tells two, below 0.5 and from there on."""
        return max(self.classes, 2)

    @property
    def head_input(self) -> str:
        """Name of the layer that makes of all convolutions' output what the head takes."""
        return IN_FRONT_OF_HEAD[self.pooling][0]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Of one input, HWC."""
        return (*self.input_size, CHANNELS)

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

    def scaled_by(self, layer: Layer) -> str:
        """Name of the layer whose range a layer's input has: the last in front that computes."""
        before = self.layers[: self.layers.index(layer)]
        return next(one.name for one in reversed(before) if not one.kind.keeps_values)

    def flattened_in_front_of(self, layer: Layer) -> tuple[int, ...] | None:
        """Shape, HWC, of what is flattened to a layer's input; None for all other layers."""
        *_, features, flatten = (None, None, *self.layers[: self.layers.index(layer)])
        if features is None or flatten is None or flatten.kind is not LayerKind.FLATTEN:
            return None
        return features.output_shape

    def to_json(self) -> dict[str, Any]:
        """What an artifact records of the network; :meth:`from_json` reads it.

        Two equal hidden layers are one number, a square is its side, as in version 0.1.0, which had
        nothing else.
        """
        units, (height, width) = self.fc_units, self.input_size
        return {
            "configuration": self.configuration,
            "blocks": [[str(convolution) for convolution in block] for block in self.blocks],
            "classes": self.classes,
            "fc_units": units[0] if units and units == units[:1] * 2 else list(units),
            "input_size": height if height == width else [height, width],
            "mean_rgb": list(self.mean_rgb),
            "hidden_relu": [hidden.relu for hidden in self.hidden],
            "last_pooling": self.last_pooling,
            "pooling": self.pooling.value,
            "head_activation": self.head_activation.value,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The network that :meth:`to_json`, or that of version 0.1.0, recorded.

        Raises:
            InputError: A key is missing or a value is of the wrong kind.
        """
        try:
            data = {**UNSAID_IN_0_1_0, **data}
            blocks = tuple(
                tuple(Convolution.parse(text) for text in block) for block in data["blocks"]
            )
            red, green, blue = map(float, data["mean_rgb"])
            height, width = _twice(data["input_size"])
            units = _twice(data["fc_units"])
            return cls(
                str(data["configuration"]),
                blocks,
                int(data["classes"]),
                tuple(
                    FullyConnected(*pair)
                    for pair in zip(units, map(bool, data["hidden_relu"]), strict=True)
                ),
                (height, width),
                (red, green, blue),
                bool(data["last_pooling"]),
                Pooling(data["pooling"]),
                HeadActivation(data["head_activation"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"network description is not readable: {error!r}") from error


def size_text(size: tuple[int, int]) -> str:
    """Height and width as ``--input-size`` takes them: "224" or "96x160"."""
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def _twice(value: Any) -> tuple[int, ...]:
    """A list's numbers, or a number two times."""
    return tuple(map(int, value)) if isinstance(value, list) else (int(value), int(value))
