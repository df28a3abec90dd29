"""Runs a float network over calibration images and observes the ranges of its activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calibration import RangeObserver, make_observer
from vggexport.network.spec import VGGSpec
from vggexport.quantization.ranges import observed_layers


class ReadActivations(Protocol):
    """Runs a float network and reads layers' outputs, as ``Runner.activations`` does."""

    def __call__(
        self, images: NDArray[np.uint8], names: Iterable[str]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Outputs by layer name for uint8 (images, size, size, 3)."""
        ...


def observe_ranges(
    activations: ReadActivations, spec: VGGSpec, images: Iterable[NDArray[np.uint8]], method: str
) -> dict[str, tuple[float, float]]:
    """Ranges of every observed layer, in memory that does not grow with the number of images.

    Args:
        activations: Reads the observed layers of the float network.
        spec: The network.
        images: uint8 (size, size, 3), one at a time.
        method: A name of ``calibration.OBSERVERS``.

    Returns:
        (low, high) by layer name.

    Raises:
        calibration.CalibrationDataError: The method is unknown, or an activation is not finite.
    """
    observers = _observers(spec, method)
    for _ in _observe(observers, activations, images):
        pass
    return _ranges(observers)


def observe_growing(
    activations: ReadActivations, spec: VGGSpec, images: Iterable[NDArray[np.uint8]], method: str
) -> Iterator[Callable[[], dict[str, tuple[float, float]]]]:
    """The same image by image: after each, what gives the ranges of all so far."""
    observers = _observers(spec, method)
    for _ in _observe(observers, activations, images):
        yield partial(_ranges, observers)


def _observers(spec: VGGSpec, method: str) -> dict[str, RangeObserver]:
    return {name: make_observer(method) for name in observed_layers(spec)}


def _observe(
    observers: Mapping[str, RangeObserver],
    activations: ReadActivations,
    images: Iterable[NDArray[np.uint8]],
) -> Iterator[None]:
    for image in images:
        for name, values in activations(image[np.newaxis], observers).items():
            observers[name].observe(values)
        yield


def _ranges(observers: Mapping[str, RangeObserver]) -> dict[str, tuple[float, float]]:
    return {name: observer.range() for name, observer in observers.items()}
