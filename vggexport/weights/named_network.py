"""The tensors of a file under the names of the walk, whatever the file calls them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from vggexport.network.layers import LOGITS_NAME
from vggexport.network.table import Convolution
from vggexport.weights.stored import Archive

Blocks: TypeAlias = tuple[tuple[Convolution, ...], ...]

_HIDDEN = re.compile(r"fc(\d+)/kernel")
_CONVOLUTION = re.compile(r"block(\d+)_conv(\d+)/kernel")
_WINDOW = 4
"""Rank of a convolution's kernel."""

MOST_HIDDEN = 99
"""Fully connected layers in front of the last; "fc" with a higher number is none."""


@dataclass(frozen=True, slots=True)
class NamedNetwork:
    """A file's tensors by native names.

    Attributes:
        tensors: By native name, axes native. The inputs of the first fully connected layer are in
            the order in which the file flattens them.
        names: What the file calls them, for messages.
        channels_first: Whether it flattens channels, then rows, then columns.
        window: Height and width of the first fully connected layer where it is a convolution, as
            in timm.
        linear: Its hidden layers, by their names in the walk, that no ReLU follows.
        notes: What the names do not tell and was taken by convention, a sentence each.
    """

    tensors: Archive
    names: Mapping[str, str]
    channels_first: bool = False
    window: tuple[int, int] | None = None
    linear: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def blocks(self) -> Blocks:
        """The convolutions that it has, block by block, by their names."""
        found: dict[int, list[tuple[int, Convolution]]] = {}
        for name, tensor in self.tensors.items():
            match = _CONVOLUTION.fullmatch(name)
            if match and len(tensor.shape) == _WINDOW:
                convolution = Convolution(tensor.shape[0], tensor.shape[-1])
                found.setdefault(int(match[1]), []).append((int(match[2]), convolution))
        return tuple(
            tuple(convolution for _, convolution in sorted(found[block], key=lambda one: one[0]))
            for block in sorted(found)
        )

    @property
    def head(self) -> list[str]:
        """Its fully connected layers, and those that lie before them, in order."""
        kernels = map(_HIDDEN.fullmatch, self.tensors)
        count = max((int(match[1]) for match in kernels if match), default=0)
        if count or f"{LOGITS_NAME}/kernel" in self.tensors:
            return head_names(min(count, MOST_HIDDEN) + 1)
        return []

    def outputs(self, layer: str) -> int | None:
        """Of one layer, from its kernel or else its bias; None where it has neither."""
        for role in ("kernel", "bias"):
            tensor = self.tensors.get(f"{layer}/{role}")
            if tensor and tensor.shape:
                return tensor.shape[-1]
        return None

    def name(self, native: str) -> str:
        """What the file calls a tensor, or should; the native name where it has no custom."""
        return self.names.get(native, native)


def head_names(count: int) -> list[str]:
    """Of so many fully connected layers in the walk."""
    return [*(f"fc{number}" for number in range(1, count)), LOGITS_NAME] if count else []
