"""Runs a float network over calibration images and observes the ranges of its activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calibration import make_observer
from vggexport.network.spec import VGGSpec
from vggexport.quantization.ranges import observed_layers


class ReadActivations(Protocol):
    """Runs a float network and reads layers' outputs, as ``Runner.activations`` does."""

    def __call__(
        self, images: NDArray[np.uint8], names: Iterable[str]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Outputs by layer name for uint8 (images, size, size, 3)."""
        ...


ReadRanges = Callable[[], dict[str, tuple[float, float]]]
"""Gives (low, high) by layer name."""


def observe_growing(
    activations: ReadActivations, spec: VGGSpec, images: Iterable[NDArray[np.uint8]], method: str
) -> Iterator[ReadRanges]:
    """Observes ranges of every observed layer, in memory that does not grow with the images.

    Args:
        activations: Reads the observed layers of the float network.
        spec: The network.
        images: uint8 (size, size, 3), one at a time.
        method: A name of ``calibration.OBSERVERS``.

    Yields:
        After each image, what gives (low, high) by layer name of all so far.

    Raises:
        calibration.CalibrationDataError: The method is unknown, or an activation is not finite.
    """
    observers = {name: make_observer(method) for name in observed_layers(spec)}
    for image in images:
        for name, values in activations(image[np.newaxis], observers).items():
            observers[name].observe(values)
        yield lambda: {name: observer.range() for name, observer in observers.items()}
