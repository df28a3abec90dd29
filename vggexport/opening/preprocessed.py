"""A network of which something is wanted of pixels first, as one that takes RGB 0...255."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vggexport.formats.runner import Images, Prepared, Runner
from vggexport.metrics.placement import PlacedNode
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing


class PreprocessedRunner(Runner):
    """A runner of a file that wants something done to RGB 0...255 first, which is done here."""

    def __init__(self, runner: Runner, preprocessing: Preprocessing) -> None:
        self.runtime, self.provider = runner.runtime, runner.provider
        self.threads = runner.threads
        self.artifact = runner.artifact
        self.inner = runner
        self._preprocessing = preprocessing

    def __enter__(self) -> Self:
        return self

    def close(self) -> None:
        """Lets go of the network and its memory."""
        self.inner.close()

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs of layers, as the file's own runner gives them."""
        return self.inner.activations(preprocessed(images, self._preprocessing), names)

    def prepare(self, images: Images) -> Prepared:
        """The runtime's own call: pixels are prepared in front of it."""
        return self.inner.prepare(preprocessed(images, self._preprocessing))

    def placed_nodes(self, images: Images) -> tuple[PlacedNode, ...] | None:
        """Every node with what ran it."""
        return self.inner.placed_nodes(preprocessed(images, self._preprocessing))

    def provider_options(self) -> dict[str, str]:
        """What the runtime's provider was set to."""
        return self.inner.provider_options()


def preprocessed(images: Images, preprocessing: Preprocessing) -> Images:
    """RGB 0...255 as a network takes it, float32; as it is where nothing is to be done.

    Images are (images, height, width, 3).
    """
    if preprocessing.affine == CONVENTIONS["raw"].affine:
        return images
    mean = np.array(preprocessing.mean_rgb, np.float32)
    std = np.array(preprocessing.std_rgb, np.float32)
    values: NDArray[np.float32] = (images.astype(np.float32) - mean) / std
    return np.ascontiguousarray(values[..., list(preprocessing.order)])
