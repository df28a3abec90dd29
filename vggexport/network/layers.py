"""Layers: what kinds there are, what one is, and the walk that derives them all from a spec.

Names, weight shapes, parameters, multiply-accumulates (MACs) and receptive fields all come from
:func:`walk`; nothing else in the package counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import TYPE_CHECKING

from vggexport.network.head import HeadActivation, Pooling

if TYPE_CHECKING:
    from vggexport.network.spec import VGGSpec

INPUT_NAME = "images"
OUTPUT_NAME = "probabilities"
LOGITS_NAME = "predictions"
MEAN_SUBTRACTION_NAME = "mean_subtraction"

CHANNELS = 3
POOL_SIZE = 2


class LayerKind(StrEnum):
    """The kinds of layer that a VGG network is made of. A format has one function for each."""

    MEAN_SUBTRACTION = "mean subtraction"
    CONVOLUTION = "convolution"
    MAX_POOLING = "max pooling"
    FLATTEN = "flatten"
    GLOBAL_AVERAGE_POOLING = "global average pooling"
    GLOBAL_MAX_POOLING = "global max pooling"
    FULLY_CONNECTED = "fully connected"
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"

    @property
    def keeps_values(self) -> bool:
        """Whether every output is one of the inputs: it rounds nothing and has their range."""
        return self in {
            LayerKind.MAX_POOLING,
            LayerKind.FLATTEN,
            LayerKind.GLOBAL_MAX_POOLING,
        }


IN_FRONT_OF_HEAD: Mapping[Pooling, tuple[str, LayerKind]] = {
    Pooling.FLATTEN: ("flatten", LayerKind.FLATTEN),
    Pooling.AVERAGE: ("global_average_pool", LayerKind.GLOBAL_AVERAGE_POOLING),
    Pooling.MAX: ("global_max_pool", LayerKind.GLOBAL_MAX_POOLING),
}
AT_THE_END: Mapping[HeadActivation, LayerKind] = {
    HeadActivation.SOFTMAX: LayerKind.SOFTMAX,
    HeadActivation.SIGMOID: LayerKind.SIGMOID,
}


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
    """One layer, as the walk over the spec derives it.

    Attributes:
        name: The name it has in every format and report.
        kind: What it computes.
        output_shape: Shape of one image's output, HWC or (units,).
        kernel_size: Side of the square window, or None where there is none.
        stride: Step of the window, or None where there is none.
        macs: Multiply-accumulates for one image.
        receptive_field: Side of the square of input pixels that one output sees, ignoring the
            border; None for layers without a window.
        relu: Whether its outputs below 0 become 0.
        tensors: Its weights: kernel and bias, or nothing.
    """

    name: str
    kind: LayerKind
    output_shape: tuple[int, ...]
    kernel_size: int | None = None
    stride: int | None = None
    macs: int = 0
    receptive_field: int | None = None
    relu: bool = False
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

    @property
    def is_matrix(self) -> bool:
        """Whether its kernel is (inputs, outputs), that of a fully connected layer."""
        return bool(self.tensors) and len(self.kernel.shape) == len(("inputs", "outputs"))


def walk(spec: VGGSpec) -> Iterator[Layer]:
    """Every layer from the mean subtraction to the probabilities, in order of computation."""
    features: tuple[int, ...] = spec.image_shape
    yield Layer(MEAN_SUBTRACTION_NAME, LayerKind.MEAN_SUBTRACTION, features)
    for layer in _convolutional(spec):
        features = layer.output_shape
        yield layer
    name, kind = IN_FRONT_OF_HEAD[spec.pooling]
    units = prod(features) if kind is LayerKind.FLATTEN else features[-1]
    yield Layer(name, kind, (units,))
    for number, hidden in enumerate(spec.hidden, start=1):
        kernel_shape = (units, hidden.units)
        yield _weighted(f"fc{number}", LayerKind.FULLY_CONNECTED, kernel_shape, relu=hidden.relu)
        units = hidden.units
    kernel_shape = (units, spec.classes)
    yield _weighted(LOGITS_NAME, LayerKind.FULLY_CONNECTED, kernel_shape, relu=False)
    yield Layer(OUTPUT_NAME, AT_THE_END[spec.head_activation], (spec.classes,))


def _convolutional(spec: VGGSpec) -> Iterator[Layer]:
    """The blocks of convolutions and what pools them."""
    height, width = spec.input_size
    channels = CHANNELS
    field, jump = 1, 1  # receptive field, and input pixels between neighbouring outputs
    for block_number, block in enumerate(spec.blocks, start=1):
        for number, convolution in enumerate(block, start=1):
            field += (convolution.kernel_size - 1) * jump
            yield _weighted(
                f"block{block_number}_conv{number}",
                LayerKind.CONVOLUTION,
                (convolution.kernel_size, convolution.kernel_size, channels, convolution.filters),
                (height, width),
                field,
            )
            channels = convolution.filters
        if block_number == len(spec.blocks) and not spec.last_pooling:
            return
        field += (POOL_SIZE - 1) * jump
        jump *= POOL_SIZE
        height, width = height // POOL_SIZE, width // POOL_SIZE
        yield Layer(
            f"block{block_number}_pool",
            LayerKind.MAX_POOLING,
            (height, width, channels),
            kernel_size=POOL_SIZE,
            stride=POOL_SIZE,
            receptive_field=field,
        )


def _weighted(
    name: str,
    kind: LayerKind,
    kernel_shape: tuple[int, ...],
    positions: tuple[int, ...] = (),
    field: int | None = None,
    *,
    relu: bool = True,
) -> Layer:
    """A layer with kernel and bias, which computes at so many positions (none but one: ())."""
    *window, _, outputs = kernel_shape
    kernel = TensorSpec(f"{name}/kernel", kernel_shape)
    return Layer(
        name,
        kind,
        (*positions, outputs),
        kernel_size=window[0] if window else None,
        stride=1 if window else None,
        macs=prod(positions) * kernel.size,
        receptive_field=field,
        relu=relu,
        tensors=(kernel, TensorSpec(f"{name}/bias", (outputs,))),
    )
