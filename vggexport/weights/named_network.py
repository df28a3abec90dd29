"""The tensors of a file under the names of the walk, whatever the file calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vggexport.weights.stored import Archive


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
        notes: What the names do not tell and was taken by convention, a sentence each.
    """

    tensors: Archive
    names: Mapping[str, str]
    channels_first: bool = False
    window: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
