"""Which network a file holds: what the user fixed, then the file's shapes, then the defaults."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from vggexport.errors import Advice, InputError, WeightsError
from vggexport.network.head import HeadActivation, Pooling, fully_connected, units_text
from vggexport.network.layers import LOGITS_NAME, POOL_SIZE
from vggexport.network.spec import (
    DEFAULT_CLASSES,
    DEFAULT_FC_UNITS,
    DEFAULT_INPUT_SIZE,
    VGGSpec,
    size_text,
)
from vggexport.network.table import Convolution, column_of
from vggexport.system.typed_options import OneOf, TypedOptions
from vggexport.weights.head_inputs import ADAPTIVE, ADAPTIVE_SIZE, entered
from vggexport.weights.named_network import Blocks, NamedNetwork, head_names

_LEAVE_OUT = {
    "configuration": Advice("leave out {}", "config"),
    "classes": Advice("leave out {}", "classes"),
    "fc_units": Advice("leave out {}", "fc_units"),
    "input_size": Advice("leave out {}", "input_size"),
    "pooling": Advice("leave out {}", "pooling"),
    "head_activation": Advice("leave out {}", "head_activation"),
}
"""The way out by the name of what was asked for and is otherwise in the file."""

_OTHER_MAPS = Advice(
    "leave out {} if training's images had that size; if not, the network makes smaller or larger "
    "maps than a VGG, by padding, strides or poolings of its own, and is not exported",
    "input_size",
)
"""The same for a file whose size is concluded from its shapes."""

_ANOTHER_HEAD = Advice(
    "train another head with {} on weights saved without one (include_top=False), in place of {}",
    "init_missing",
    "reinit",
)


def ways_out(asked: Collection[str], ways: Mapping[str, Advice] = _LEAVE_OUT) -> Iterator[Advice]:
    """What to do where a file has something else than was asked for, by the names of that."""
    yield from (way for name, way in ways.items() if name in asked)
    if "fc_units" in asked:
        yield _ANOTHER_HEAD


@dataclass(frozen=True, slots=True)
class SpecRequest(TypedOptions):
    """What is asked of the network; None is whatever the weights tell, else the default.

    Attributes:
        configuration: A column of table 1.
        classes: Outputs of the last layer.
        fc_units: Outputs of each hidden fully connected layer.
        input_size: Height and width of the input in pixels.
        pooling: What the head makes of the features: the value of a ``Pooling``, or "adaptive",
            torchvision's average to 7x7, which is folded into the first fully connected layer.
        head_activation: What it ends in.
    """

    configuration: str | None = None
    classes: int | None = None
    fc_units: tuple[int, ...] | None = None
    input_size: tuple[int, int] | None = None
    pooling: Annotated[str, OneOf((*Pooling, ADAPTIVE))] | None = None
    head_activation: HeadActivation | None = None

    @property
    def blocks(self) -> Blocks | None:
        """The convolutions that are asked for.

        Raises:
            InputError: No such configuration.
        """
        return VGGSpec.named(self.configuration).blocks if self.configuration else None

    def with_defaults(self, found: Blocks | None = None) -> VGGSpec:
        """The network where no file tells anything.

        Raises:
            InputError: No such configuration, or a size is out of range.
        """
        blocks = self.blocks or found or VGGSpec.named().blocks
        size = self.input_size or DEFAULT_INPUT_SIZE
        pooling = self.pooling
        if pooling == ADAPTIVE:
            _check_is_flat(size, POOL_SIZE ** len(blocks))
            pooling = None
        return VGGSpec(
            column_of(blocks),
            blocks,
            DEFAULT_CLASSES if self.classes is None else self.classes,
            fully_connected(*(DEFAULT_FC_UNITS if self.fc_units is None else self.fc_units)),
            size,
            pooling=Pooling(pooling or Pooling.FLATTEN),
            head_activation=self.head_activation or HeadActivation.SOFTMAX,
        )


def _check_is_flat(size: tuple[int, int], scale: int) -> None:
    """Raises InputError where torchvision's average to 7x7 is more than a flattened map of 7x7."""
    features = (size[0] // scale, size[1] // scale)
    if features != ADAPTIVE_SIZE:
        raise InputError(
            f"adaptive pooling of a map of {size_text(features)} is folded into the first fully "
            "connected kernel of a weights file, and there is none here",
            Advice("leave out {}", "pooling"),
            Advice(f"choose {{}} {ADAPTIVE_SIZE[0] * scale}", "input_size"),
        )


def resolve(request: SpecRequest, network: NamedNetwork, origin: str) -> VGGSpec:
    """The network that ``request`` and a file agree on.

    Raises:
        WeightsError: ``request`` asks for other sizes than the file has, all of them are named; or
            the file's shapes leave open what it is.
        InputError: No such configuration, or a size is out of range.
    """
    blocks = request.blocks or network.blocks or VGGSpec.named().blocks
    for convolution in (convolution for block in blocks for convolution in block):
        Convolution.parse(str(convolution))  # an odd kernel, and not without filters
    found: dict[str, Any] = {
        "classes": network.outputs(LOGITS_NAME),
        "fc_units": _units(network, request),
        "input_size": None,
    }
    pooling = request.pooling
    first = network.tensors.get(f"{network.head[0]}/kernel") if network.head else None
    if first is not None and len(first.shape) == len(("inputs", "units")):
        label = f"{origin}: {network.name(f'{network.head[0]}/kernel')}"
        entry = entered(request.input_size, pooling, network, blocks, first.shape[0], label)
        found["input_size"], pooling = entry.input_size, entry.pooling
    disagreements = dict(_disagreements(request, found))
    if disagreements:
        said = "; ".join(disagreements.values())
        ways = {**_LEAVE_OUT, "input_size": _OTHER_MAPS}
        raise WeightsError(
            f"{origin} is for another network: {said}", *ways_out(disagreements, ways)
        )
    told = {name: value for name, value in found.items() if value is not None}
    spec = replace(request, pooling=pooling, **told).with_defaults(blocks)
    names = head_names(len(spec.hidden) + 1)
    hidden = (
        replace(layer, relu=name not in network.linear)
        for layer, name in zip(spec.hidden, names[:-1], strict=True)
    )
    return replace(spec, hidden=tuple(hidden))


def _units(network: NamedNetwork, request: SpecRequest) -> tuple[int, ...] | None:
    """Of the hidden layers; one that is not there is as wide as asked for, or as the first."""
    if not network.head:
        return None
    found = [network.outputs(layer) for layer in network.head[:-1]]
    asked = request.fc_units or ()
    spare = next(filter(None, found), DEFAULT_FC_UNITS[0])
    widths = asked if len(asked) == len(found) else (spare,) * len(found)
    return tuple(units or width for units, width in zip(found, widths, strict=True))


def _disagreements(request: SpecRequest, found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """By name, what was asked for and is not so."""
    for name, value in found.items():
        asked = getattr(request, name)
        if asked is not None and value is not None and asked != value:
            said = f"{name.replace('_', ' ')} {shown(name, asked)} was asked for, its shapes say "
            yield name, said + shown(name, value)


def shown(name: str, value: Any) -> str:
    """What is asked of a network, as options take it."""
    words: dict[str, Callable[[Any], str]] = {
        "fc_units": units_text,
        "input_size": size_text,
        "blocks": lambda blocks: " | ".join(" ".join(map(str, block)) for block in blocks),
    }
    return words.get(name, str)(value)
