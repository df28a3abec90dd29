"""A VGG recognized in a graph of any converter, by the order and the shapes of its operators.

A format's reader says what each operator on the way from the image to the scores is; what they are
called does not count. The walk of the spec that they suggest must then have their very shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from vggexport.errors import InputError
from vggexport.network.ends import Ends
from vggexport.network.head import FullyConnected, HeadActivation, Pooling
from vggexport.network.layers import Layer, LayerKind
from vggexport.network.spec import VGGSpec
from vggexport.network.table import Convolution, column_of


class StepKind(StrEnum):
    """What an operator does, as far as a VGG is concerned."""

    CONVOLUTION = "convolution"
    """Of stride 1 and same padding."""
    MATRIX = "matrix"
    SCALE = "scale"
    """Adds to, or multiplies, each channel: a bias, a batch normalization, preprocessing."""
    RELU = "relu"
    POOL = "pool"
    """The largest of 2x2."""
    AVERAGE = "average"
    """Of all positions."""
    MAX = "max"
    """The same."""
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    MOVE = "move"
    """Leaves values as they are but for rounding."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Step:
    """One operator.

    Attributes:
        kind: What it does.
        output: The tensor that it computes, by its name in the file.
        shape: Of its kernel, HWIO or (inputs, outputs), where it has one.
        relu: Whether a ReLU is fused into it.
        channels_last: Whether its output, where that has four axes, is NHWC.
    """

    kind: StepKind
    output: str
    shape: tuple[int, ...] = ()
    relu: bool = False
    channels_last: bool = True


class _OtherNetwork(Exception):
    """The graph is no VGG."""


_WEIGHTED = (StepKind.CONVOLUTION, StepKind.MATRIX)
_FLATTENED = {LayerKind.FLATTEN}
_ENDS = {StepKind.SOFTMAX: HeadActivation.SOFTMAX, StepKind.SIGMOID: HeadActivation.SIGMOID}


def recognize(steps: Sequence[Step], ends: Ends) -> tuple[VGGSpec, dict[str, Step]] | None:
    """The network, and which step computes each of its layers; None for another network."""
    try:
        layers = list(_merged(steps))
        spec = _spec(layers, ends)
        return spec, _places(spec, layers)
    except (_OtherNetwork, InputError):
        return None


def last_activation(steps: Sequence[Step]) -> HeadActivation | None:
    """What a graph ends in; None for logits."""
    computing = [step for step in steps if step.kind is not StepKind.MOVE]
    return _ENDS.get(computing[-1].kind) if computing else None


def _merged(steps: Sequence[Step]) -> Iterator[Step]:
    """A step a layer: bias, batch normalization and ReLU belong to what is in front of them."""
    layer: Step | None = None
    for step in steps:
        if step.kind is StepKind.OTHER:
            raise _OtherNetwork
        if step.kind is StepKind.MOVE or (layer is None and step.kind is StepKind.SCALE):
            continue
        if step.kind not in {StepKind.SCALE, StepKind.RELU}:
            if layer:
                yield layer
            layer = step
            continue
        if layer is None or layer.kind not in _WEIGHTED or layer.relu:
            raise _OtherNetwork
        relu = step.relu or step.kind is StepKind.RELU
        layer = replace(layer, output=step.output, relu=relu, channels_last=step.channels_last)
    if layer:
        yield layer


def _spec(layers: Sequence[Step], ends: Ends) -> VGGSpec:
    kinds = [step.kind for step in layers]
    first = kinds.index(StepKind.MATRIX) if StepKind.MATRIX in kinds else len(kinds)
    features, head = list(layers[:first]), [s for s in layers[first:] if s.kind not in _ENDS]
    if not head or any(step.kind is not StepKind.MATRIX for step in head):
        raise _OtherNetwork
    pooling = Pooling.FLATTEN
    if features and features[-1].kind in {StepKind.AVERAGE, StepKind.MAX}:
        pooling = Pooling(features.pop().kind.value)
    blocks: list[tuple[Convolution, ...]] = [()]
    for step in features:
        if step.kind is StepKind.POOL:
            blocks.append(())
        elif step.kind is StepKind.CONVOLUTION and step.relu and _is_odd_square(step.shape):
            blocks[-1] += (Convolution(step.shape[0], step.shape[-1]),)
        else:
            raise _OtherNetwork
    last_pooling = not blocks[-1]
    found = tuple(blocks[:-1] if last_pooling else blocks)
    if not found or not all(found):
        raise _OtherNetwork
    *hidden, _ = head
    return VGGSpec(
        column_of(found),
        found,
        ends.classes,
        tuple(FullyConnected(step.shape[-1], step.relu) for step in hidden),
        ends.input_size,
        (0.0, 0.0, 0.0),
        last_pooling,
        pooling,
        ends.head_activation,
    )


def _is_odd_square(shape: Sequence[int]) -> bool:
    return len(shape) == len("HWIO") and shape[0] == shape[1] and shape[0] % 2 == 1


def _places(spec: VGGSpec, layers: Sequence[Step]) -> dict[str, Step]:
    """Which step computes each layer; a flattening is read in front of it."""
    found: dict[str, Step] = {}
    steps, before = iter(layers), layers[0]
    for layer in spec.layers[1:]:
        if layer.kind not in _FLATTENED:
            before = next(steps, before)  # of a file that gives logits the end is added
        found[layer.name] = before
        _check(layer, before)
    return found


def _check(layer: Layer, step: Step) -> None:
    if layer.tensors and layer.kernel.shape != step.shape:
        raise _OtherNetwork
