"""How wide each layer is to be: what a budget of operations and size buys least error for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from vggexport.network.layers import Layer, LayerKind
from vggexport.network.spec import VGGSpec
from vggexport.network.table import Convolution, column_of

Widths: TypeAlias = Mapping[str, int]
"""Outputs by layer's name."""

FLOAT32_BYTES = 4
SHARE, WIDEST_STEP = 8, 16
"""Widths are multiples of an eighth of the layer's own, at most 16: what kernels of runtimes
compute at a time. A layer keeps one such step at least."""


def prunable(spec: VGGSpec) -> tuple[Layer, ...]:
    """The layers that can be narrower: the convolutions."""
    return tuple(one for one in spec.weighted_layers if one.kind is LayerKind.CONVOLUTION)


def step_of(width: int) -> int:
    """What a layer's width is a multiple of."""
    return max(1, min(width // SHARE, WIDEST_STEP))


def narrowed(spec: VGGSpec, widths: Widths) -> VGGSpec:
    """The network with these widths; a layer that is not named keeps its own."""
    names = iter(prunable(spec))
    blocks = tuple(
        tuple(
            Convolution(one.kernel_size, widths.get(next(names).name, one.filters)) for one in block
        )
        for block in spec.blocks
    )
    return replace(spec, configuration=column_of(blocks), blocks=blocks)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a network may cost.

    Attributes:
        macs: Multiply-accumulates of an image, or None for any number.
        parameters: Or None for any number.
    """

    macs: float | None = None
    parameters: float | None = None

    def excess(self, spec: VGGSpec) -> float:
        """How far a network is above it, as a sum of shares of the budget; 0 for within."""
        pairs = ((self.macs, spec.macs), (self.parameters, spec.parameters))
        return sum(max(0.0, cost / most - 1) for most, cost in pairs if most is not None)


Error: TypeAlias = Callable[[str, int], float]
"""(layer's name, width) -> what it adds to the error of the logits."""


def descend(spec: VGGSpec, error: Error, excess: Callable[[VGGSpec], float]) -> Iterator[Widths]:
    """Ever narrower networks, until none of the costs is exceeded or none is narrower.

    Each is the one before with the step that adds least error for what it saves. ``error`` grows as
    widths shrink; ``excess`` is what a network costs too much.

    Yields:
        Widths of all layers that can be narrower, those of ``spec`` first.
    """
    own = {layer.name: layer.kernel.shape[-1] for layer in prunable(spec)}
    widths, now = dict(own), excess(spec)
    yield dict(widths)
    while now > 0:
        steps = []
        for name, width in widths.items():
            narrower = width - step_of(own[name])
            if narrower < step_of(own[name]):
                continue
            left = excess(narrowed(spec, {**widths, name: narrower}))
            if left < now:
                price = (error(name, narrower) - error(name, width)) / (now - left)
                steps.append((price, name, narrower, left))
        if not steps:
            return
        _, name, narrower, now = min(steps)
        widths[name] = narrower
        yield dict(widths)
