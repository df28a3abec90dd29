"""Weights of a file held to those of its reference, and what became of those that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vggexport.metrics.parity import decibels
from vggexport.metrics.tolerance import LayerSqnr
from vggexport.network.layers import Layer
from vggexport.network.spec import VGGSpec
from vggexport.precision import Profile

Weights = Mapping[str, NDArray[np.float32]]
"""By native name, in the native layout."""

LEAST_INTEGER_BIAS_SQNR_DB = -1.0
"""What biases of integer layers have. Their step is that of the input times that of the kernel, to
which small biases are zero; rounding never errs by more than the value, which is 0 dB, while
another bias of the same size has -3 dB."""

_CHUNK = 1 << 22
"""Values compared at a time: fc1 has 103 million."""


@dataclass(frozen=True, slots=True)
class KernelDifference:
    """One layer whose kernel or bias is not the reference's.

    Attributes:
        layer: Its name.
        sqnr_db: SQNR of its kernel, or of its bias if only that differs.
        found: What its kernel is instead: another layer's name, or a clause about its own; None if
            nothing known.
        found_db: SQNR of the kernel against that.
    """

    layer: str
    sqnr_db: float
    found: str | None = None
    found_db: float = -np.inf
    is_layer: bool = False


@dataclass(frozen=True, slots=True)
class WeightsComparison:
    """All layers of two files.

    Attributes:
        differences: Layers that differ, in order.
        same_db: The least SQNR of all kernels that do not differ; infinite if all of those are
            equal, NaN if there are none.
    """

    differences: tuple[KernelDifference, ...]
    same_db: float


def compare_weights(
    spec: VGGSpec, reference: Weights, candidate: Weights, profile: Profile
) -> WeightsComparison:
    """Holds every kernel and bias to the reference's, one at a time, by the coarser profile."""
    least = profile.kernels
    differences, same = [], []
    for layer in spec.weighted_layers:
        kernel = candidate[layer.kernel.name]
        own = tensor_sqnr_db(reference[layer.kernel.name], kernel)
        if not own >= least.of(layer):
            differences.append(_find(spec, layer, kernel, reference, own, least))
            continue
        bias = tensor_sqnr_db(reference[layer.bias.name], candidate[layer.bias.name])
        if bias >= (least.of(layer) if profile.is_float else LEAST_INTEGER_BIAS_SQNR_DB):
            same.append(own)
        else:
            differences.append(KernelDifference(layer.name, bias))
    return WeightsComparison(tuple(differences), min(same, default=np.nan))


def tensor_sqnr_db(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """SQNR of one tensor in dB, a part at a time; infinite for equal ones, NaN with a NaN."""
    mine, theirs = reference.reshape(-1), candidate.reshape(-1)
    signal = noise = 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, mine.size, _CHUNK):
            part = mine[start : start + _CHUNK].astype(np.float64)
            error = theirs[start : start + _CHUNK] - part
            signal += float(np.dot(part, part))
            noise += float(np.dot(error, error))
    return decibels(signal, noise)


def is_recoloured(
    spec: VGGSpec,
    reference: Weights,
    candidate: Weights,
    matrix: NDArray[np.float32],
    profile: Profile,
) -> bool:
    """Whether a file's first kernel is the reference's on colours put through a matrix.

    Such a kernel was made for pixels that the file is not given: times 255, for those in 0...1. Row
    by row the matrix, (3, 3), says what red, green and blue become; the profile is the coarser of
    the two precisions. Of the candidate the first kernel alone is read.
    """
    layer = spec.weighted_layers[0]
    wanted = np.einsum("ij,hwjo->hwio", matrix, reference[layer.kernel.name])
    return tensor_sqnr_db(wanted, candidate[layer.kernel.name]) >= profile.kernels.of(layer)


def _find(
    spec: VGGSpec,
    layer: Layer,
    kernel: NDArray[np.float32],
    reference: Weights,
    own: float,
    least: LayerSqnr,
) -> KernelDifference:
    """What a kernel that is not its own is: changed in a known way, or another layer's."""
    for clause, change in _changes(spec, layer):
        found = tensor_sqnr_db(change(reference[layer.kernel.name]), kernel)
        if found >= least.of(layer):
            return KernelDifference(layer.name, own, clause, found)
    alike = [one for one in spec.weighted_layers if one.kernel.shape == layer.kernel.shape]
    for other in (one for one in alike if one != layer):
        found = tensor_sqnr_db(reference[other.kernel.name], kernel)
        if found >= least.of(layer):
            return KernelDifference(layer.name, own, other.name, found, is_layer=True)
    return KernelDifference(layer.name, own)


def _changes(
    spec: VGGSpec, layer: Layer
) -> Iterator[tuple[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]]]:
    """Known mistakes with the layout of one layer's kernel."""
    if not layer.is_matrix:
        yield "its height and width exchanged", lambda kernel: kernel.transpose(1, 0, 2, 3)
        yield "turned by 180 degrees", lambda kernel: kernel[::-1, ::-1]
        if layer == spec.weighted_layers[0]:
            yield "its input channels in BGR order", lambda kernel: kernel[:, :, ::-1]
    elif shape := spec.flattened_in_front_of(layer):
        height, width, channels = shape
        yield (
            "its rows in CHW order",
            lambda kernel: (
                kernel.reshape(height, width, channels, -1)
                .transpose(2, 0, 1, 3)
                .reshape(kernel.shape)
            ),
        )
    if layer.kernel.shape[-1] == layer.kernel.shape[-2]:
        yield "inputs and outputs exchanged", lambda kernel: kernel.swapaxes(-1, -2)
