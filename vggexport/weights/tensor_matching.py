"""Holds the tensors of a file against the network: which serve, which lack, which are too many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vggexport.errors import Advice, WeightsError
from vggexport.network.layers import LayerKind
from vggexport.network.preprocessing import Preprocessing
from vggexport.network.spec import VGGSpec
from vggexport.network.table import TABLE_1
from vggexport.weights.layouts import FIRST_KERNEL, Layout, folded
from vggexport.weights.request import SpecRequest, resolve
from vggexport.weights.stored import Archive, StoredTensor

FILL = Advice("fill what is missing with random weights by {}", "init_missing")

LISTED_NAMES = 8
"""Longest list in a message."""

_AUTOMATIC_NAMES = {
    LayerKind.CONVOLUTION: re.compile(r"conv2d(_\d+)?"),
    LayerKind.FULLY_CONNECTED: re.compile(r"dense(_\d+)?"),
}
"""What Keras calls layers that were given no name."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a file and a network meet.

    Attributes:
        spec: The network, its sizes taken from the file where it tells them, its mean from the
            layout.
        tensors: What the file has of it, in the native layout, by native name.
        missing: Native name -> the name that the file should have.
        surplus: Names that the network has no use for.
        misshapen: One phrase for each tensor of another shape.
    """

    spec: VGGSpec
    tensors: dict[str, StoredTensor]
    missing: dict[str, str]
    surplus: tuple[str, ...]
    misshapen: tuple[str, ...]

    def serves(self, *, init_missing: bool) -> bool:
        """Whether the network can be built from it."""
        return not (self.surplus or self.misshapen or (self.missing and not init_missing))


def fit(
    archive: Archive,
    request: VGGSpec | SpecRequest,
    layout: Layout,
    preprocessing: Preprocessing,
    origin: str,
) -> Fit:
    """Holds ``archive`` against the network that ``request`` asks for.

    Args:
        archive: The tensors of a file.
        request: The network, or what of it is fixed.
        layout: The convention that the file follows.
        preprocessing: What its network does to RGB 0...255 first; folded into the first kernel.
        origin: The file, for messages.

    Raises:
        WeightsError: The file's shapes say other sizes than ``request``.
        InputError: ``request`` is no network.
    """
    named = request if isinstance(request, VGGSpec) else request.with_defaults()
    archive = _name_by_order(archive, named)
    names = layout.names(named)
    found = {native: archive[stored] for native, stored in names.items() if stored in archive}
    shapes = {native: layout.native_shape(tensor.shape) for native, tensor in found.items()}
    spec = replace(resolve(request, shapes, origin), mean_rgb=preprocessing.mean_rgb)
    expected = {name: layout.stored_shape(tensor.shape) for name, tensor in spec.tensors.items()}
    tensors = {name: layout.to_native(name, tensor, spec) for name, tensor in found.items()}
    if FIRST_KERNEL in tensors:
        tensors[FIRST_KERNEL] = folded(tensors[FIRST_KERNEL], preprocessing)
    return Fit(
        spec,
        tensors,
        {native: stored for native, stored in names.items() if stored not in archive},
        tuple(stored for stored in archive if stored not in names.values()),
        tuple(
            f"{names[name]} has shape {tensor.shape}, expected {expected[name]}"
            for name, tensor in found.items()
            if tensor.shape != expected[name]
        ),
    )


def require_fit(
    archive: Archive,
    request: VGGSpec | SpecRequest,
    layout: Layout,
    preprocessing: Preprocessing,
    origin: str,
    *,
    init_missing: bool,
) -> Fit:
    """:func:`fit`, where the network can be built from it.

    Raises:
        WeightsError: It cannot; everything that is wrong is named at once.
        InputError: ``request`` is no network.
    """
    if any(name.endswith(".running_mean") for name in archive):
        raise WeightsError(
            f"{origin} is of a network with batch normalization (running_mean), which VGG as "
            "published has not: fold it into the convolutions, or use the plain VGG weights"
        )
    result = fit(archive, request, layout, preprocessing, origin)
    if result.serves(init_missing=init_missing):
        return result
    problems = "; ".join(_problems(result, init_missing=init_missing))
    configuration = result.spec.configuration
    ways = [FILL] if result.missing and not init_missing else []
    for column in TABLE_1:
        other = fit(archive, SpecRequest(column), layout, preprocessing, origin)
        if column != configuration and other.serves(init_missing=init_missing):
            ways.append(Advice(f"take {{}} {column}, which the file fits", "config"))
    raise WeightsError(f"{origin} does not fit configuration {configuration}: {problems}", *ways)


def _problems(result: Fit, *, init_missing: bool) -> Iterator[str]:
    if result.missing and not init_missing:
        yield f"missing {_listed(list(result.missing.values()))}"
    if result.surplus:
        yield f"surplus {_listed(result.surplus)}"
    if result.misshapen:
        yield _listed(result.misshapen)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:LISTED_NAMES])
    more = len(names) - LISTED_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def _name_by_order(archive: Archive, spec: VGGSpec) -> Archive:
    """Names layers that Keras named itself ("conv2d_1") by their place in the walk.

    Only where no layer bears a name of the walk, and only kinds of layer whose number is right:
    anything else is better reported than guessed.
    """
    layers = list(dict.fromkeys(name.rpartition("/")[0] for name in archive))
    if {layer.name for layer in spec.weighted_layers}.intersection(layers):
        return archive
    renamed: dict[str, str] = {}
    for kind, pattern in _AUTOMATIC_NAMES.items():
        stored = [name for name in layers if pattern.fullmatch(name)]
        walked = [layer.name for layer in spec.weighted_layers if layer.kind is kind]
        if len(stored) == len(walked):
            renamed |= dict(zip(stored, walked, strict=True))
    return {_renamed(name, renamed): tensor for name, tensor in archive.items()}


def _renamed(name: str, layers: dict[str, str]) -> str:
    layer, slash, tensor = name.rpartition("/")
    return layers.get(layer, layer) + slash + tensor
