"""The one way in: from the name of a source to the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from vggexport.network.preprocessing import Preprocessing
from vggexport.network.spec import VGGSpec
from vggexport.system.lazy_imports import resolve
from vggexport.weights.files import open_file
from vggexport.weights.layouts import AUTO, check_layout
from vggexport.weights.mapping import Weights
from vggexport.weights.open_options import DownloadProgress, Options
from vggexport.weights.pin import parse_pin
from vggexport.weights.request import SpecRequest


class Opener(Protocol):
    """Makes or fetches the weights that one word stands for."""

    def __call__(self, options: Options) -> Weights:
        """Opens them, or raises WeightsError, Unavailable or Unfinished."""


WORDS = {
    "random": "vggexport.weights.random:open_random",
    "imagenet": "vggexport.weights.imagenet:open_imagenet",
}
"""Sources that are no file, each an ``Opener`` as "module:function"."""


def is_word(source: str) -> bool:
    """Whether a source of weights is a word, as "random:7", and no file."""
    return source.partition(":")[0] in WORDS


def open_weights(
    source: str,
    request: VGGSpec | SpecRequest,
    *,
    layout: str = AUTO,
    preprocessing: Preprocessing | None = None,
    init_missing: bool = False,
    seed: int = 0,
    sha256: str | None = None,
    progress: DownloadProgress | None = None,
) -> Weights:
    """Opens weights; values are read when the mapping is indexed.

    Args:
        source: ``random[:SEED]``, ``imagenet``, or the path of a file.
        request: The network, or what of it is fixed: the file's shapes tell the rest.
        layout: "auto", "native", "keras" or "torchvision".
        preprocessing: What happens to RGB 0...255 before the network that the file describes; None
            for what the file says, else the convention of its layout, marked as assumed.
        init_missing: Fill layers that a file lacks with random weights.
        seed: Seed of those, and of ``random`` without one.
        sha256: Refuse anything with another SHA-256 (see ``Weights.sha256``).
        progress: Told how far a download is.

    Raises:
        WeightsError: The source is missing, damaged, not the pinned one, or does not fit.
        InputError: ``request`` or ``layout`` is not possible.
        Unavailable: A package is not installed, or the download is not to be had.
        Unfinished: The download broke off.
    """
    check_layout(layout)
    pin = None if sha256 is None else parse_pin(sha256)
    word, colon, argument = source.partition(":")
    options = Options(
        argument if colon else None,
        request,
        layout,
        preprocessing,
        init_missing,
        seed,
        pin,
        progress,
    )
    if word not in WORDS:
        path = Path(source)
        return open_file(path, options, path.name)
    opener: Opener = resolve(WORDS[word])
    return opener(options)
