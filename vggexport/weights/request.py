"""Which network a file holds: what the user fixed, then the file's shapes, then the defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isqrt
from typing import Any

from vggexport.errors import Advice, WeightsError
from vggexport.network.layers import LOGITS_NAME, POOL_SIZE
from vggexport.network.spec import (
    DEFAULT_CLASSES,
    DEFAULT_CONFIGURATION,
    DEFAULT_FC_UNITS,
    DEFAULT_INPUT_SIZE,
    VGGSpec,
)


@dataclass(frozen=True, slots=True)
class SpecRequest:
    """What is asked of the network; None is whatever the weights tell, else the default.

    Attributes:
        configuration: A column of table 1.
        classes: Outputs of the last layer.
        fc_units: Outputs of each hidden fully connected layer.
        input_size: Side of the square input in pixels.
    """

    configuration: str = DEFAULT_CONFIGURATION
    classes: int | None = None
    fc_units: int | None = None
    input_size: int | None = None

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
    blocks = VGGSpec.named(request.configuration).blocks
    # A pooling drops an odd row, so several input sizes end in the same side.
    asked = request.input_size
    side = _side(shapes, blocks[-1][-1].filters)
    found = {
        "classes": _outputs(shapes, LOGITS_NAME),
        "fc_units": _outputs(shapes, "fc1"),
        "input_size": None if side is None else side * POOL_SIZE ** len(blocks),
    }
    if asked is not None and side == asked // POOL_SIZE ** len(blocks):
        found["input_size"] = asked
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


def _disagreements(
    request: SpecRequest, found: Mapping[str, int | None]
) -> Iterator[tuple[str, str]]:
    """By name, what was asked for and is not so."""
    for name, value in found.items():
        asked = getattr(request, name)
        if asked is not None and value is not None and asked != value:
            said = f"{name.replace('_', ' ')} {asked} was asked for, its shapes say {value}"
            yield name, said


def _outputs(shapes: Mapping[str, tuple[int, ...]], layer: str) -> int | None:
    for name in (f"{layer}/kernel", f"{layer}/bias"):
        if shapes.get(name):
            return shapes[name][-1]
    return None


def _side(shapes: Mapping[str, tuple[int, ...]], filters: int) -> int | None:
    """Side of the last pooling's output, from fc1's inputs = side * side * filters."""
    positions, rest = divmod(shapes.get("fc1/kernel", (0,))[0], filters)
    side = isqrt(positions)
    return side if side > 0 and rest == 0 and side * side == positions else None
