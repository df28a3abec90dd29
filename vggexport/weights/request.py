"""Which network a file holds: what the user fixed, then the file's shapes, then the defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isqrt
from typing import Any

from vggexport.errors import Advice, WeightsError
from vggexport.network.head import HeadActivation, Pooling, units_text
from vggexport.network.layers import LOGITS_NAME, POOL_SIZE
from vggexport.network.spec import (
    DEFAULT_CLASSES,
    DEFAULT_CONFIGURATION,
    DEFAULT_FC_UNITS,
    DEFAULT_INPUT_SIZE,
    VGGSpec,
    size_text,
)


@dataclass(frozen=True, slots=True)
class SpecRequest:
    """What is asked of the network; None is whatever the weights tell, else the default.

    Attributes:
        configuration: A column of table 1.
        classes: Outputs of the last layer.
        fc_units: Outputs of each hidden fully connected layer.
        input_size: Height and width of the input in pixels.
        pooling: What the head makes of the features.
        head_activation: What it ends in.
    """

    configuration: str = DEFAULT_CONFIGURATION
    classes: int | None = None
    fc_units: tuple[int, ...] | None = None
    input_size: tuple[int, int] | None = None
    pooling: Pooling | None = None
    head_activation: HeadActivation | None = None

    def with_defaults(self) -> VGGSpec:
        """The network where no file tells anything.

        Raises:
            InputError: No such configuration, or a size is out of range.
        """
        return VGGSpec.named(
            self.configuration,
            classes=DEFAULT_CLASSES if self.classes is None else self.classes,
            fc_units=DEFAULT_FC_UNITS if self.fc_units is None else self.fc_units,
            input_size=DEFAULT_INPUT_SIZE if self.input_size is None else self.input_size,
            pooling=self.pooling or Pooling.FLATTEN,
            head_activation=self.head_activation or HeadActivation.SOFTMAX,
        )


def resolve(
    request: VGGSpec | SpecRequest, shapes: Mapping[str, tuple[int, ...]], origin: str
) -> VGGSpec:
    """The network that ``request`` and a file agree on.

    Args:
        request: A network, which is taken as it is, or what is asked of it.
        shapes: Shapes in the native layout by native name, as far as the file has them.
        origin: The file, for messages.

    Raises:
        WeightsError: ``request`` asks for other sizes than the file has; all of them are named.
        InputError: No such configuration, or a size is out of range.
    """
    if isinstance(request, VGGSpec):
        return request
    asked = request.with_defaults()
    found: dict[str, Any] = {
        "classes": _outputs(shapes, LOGITS_NAME),
        "fc_units": _units(shapes, len(asked.hidden)),
        "input_size": _input_size(shapes, request, asked),
    }
    disagreements = dict(_disagreements(request, found))
    if disagreements:
        ways = (_LEAVE_OUT[name] for name in disagreements)
        said = "; ".join(disagreements.values())
        raise WeightsError(f"{origin} is for another network: {said}", *ways)
    told: dict[str, Any] = {name: value for name, value in found.items() if value is not None}
    return replace(request, **told).with_defaults()


_LEAVE_OUT = {
    "classes": Advice("leave out {}", "classes"),
    "fc_units": Advice("leave out {}", "fc_units"),
    "input_size": Advice("leave out {}", "input_size"),
}
_WORDS: Mapping[str, Callable[[Any], str]] = {"fc_units": units_text, "input_size": size_text}


def _disagreements(request: SpecRequest, found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """By name, what was asked for and is not so."""
    for name, value in found.items():
        asked, word = getattr(request, name), _WORDS.get(name, str)
        if asked is not None and value is not None and asked != value:
            named = name.replace("_", " ")
            yield name, f"{named} {word(asked)} was asked for, its shapes say {word(value)}"


def _outputs(shapes: Mapping[str, tuple[int, ...]], layer: str) -> int | None:
    for name in (f"{layer}/kernel", f"{layer}/bias"):
        if shapes.get(name):
            return shapes[name][-1]
    return None


def _units(shapes: Mapping[str, tuple[int, ...]], count: int) -> tuple[int, ...] | None:
    """Of so many hidden layers; one that is not there is taken to be as wide as the first."""
    units = [_outputs(shapes, f"fc{number}") for number in range(1, count + 1)]
    known = [width for width in units if width]
    return tuple(width or known[0] for width in units) if known else None


def _input_size(
    shapes: Mapping[str, tuple[int, ...]], request: SpecRequest, asked: VGGSpec
) -> tuple[int, int] | None:
    """The size asked for where it fits, else the least square; None where shapes do not tell."""
    head = next(layer for layer in asked.weighted_layers if layer.is_matrix)
    features = asked.flattened_in_front_of(head)
    if features is None:
        return None  # global pooling
    height, width, filters = features
    positions, rest = divmod(shapes.get(head.kernel.name, (0,))[0], filters)
    # A pooling drops an odd row, so several input sizes end in the same side.
    if request.input_size is not None and (rest, positions) == (0, height * width):
        return request.input_size
    side = isqrt(positions)
    if side == 0 or rest or side * side != positions:
        return None
    return (side * POOL_SIZE ** len(asked.blocks),) * 2
