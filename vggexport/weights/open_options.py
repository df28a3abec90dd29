"""What a caller of ``open_weights`` asks for, handed on to whichever source answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vggexport.network.preprocessing import Preprocessing
from vggexport.network.spec import VGGSpec
from vggexport.weights.request import SpecRequest


class DownloadProgress(Protocol):
    """Told how far a download is, after every piece of it."""

    def __call__(self, done: int, total: int) -> None:
        """Takes bytes on disk so far and bytes in all."""


@dataclass(frozen=True, slots=True)
class Options:
    """One request for weights.

    Attributes:
        argument: What follows the colon of the source, as the seed of ``random:7``.
        request: The network, or what of it is fixed.
        layout: A name in ``layouts.LAYOUTS``, or "auto".
        preprocessing: What happens to RGB 0...255 before the network that the file describes; None
            for what the file says, else the convention of its layout.
        init_missing: Whether layers that a file lacks are filled with random weights.
        seed: Seed of those.
        pin: SHA-256 that the source must have, or None.
        progress: Told how far a download is.
    """

    argument: str | None
    request: VGGSpec | SpecRequest
    layout: str
    preprocessing: Preprocessing | None
    init_missing: bool
    seed: int
    pin: str | None
    progress: DownloadProgress | None
