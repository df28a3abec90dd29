"""A network that a Keras file describes, as a spec and native tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from vggexport.errors import Advice, WeightsError
from vggexport.network.head import FullyConnected, HeadActivation, Pooling
from vggexport.network.preprocessing import BGR, RGB, Channels, Preprocessing
from vggexport.network.spec import PIXEL_MAX, VGGSpec
from vggexport.network.table import Convolution, column_of
from vggexport.weights.keras.affine import Preprocessing as Front
from vggexport.weights.keras.network import DescribedNetwork
from vggexport.weights.layouts import FIRST_KERNEL, folded
from vggexport.weights.request import SpecRequest, shown, ways_out
from vggexport.weights.stored import StoredTensor
from vggexport.weights.tensor_matching import Fit, network_note

_REVERSED = (2, 1, 0)


def described_fit(
    network: DescribedNetwork,
    request: VGGSpec | SpecRequest,
    preprocessing: Preprocessing,
    origin: str,
) -> Fit:
    """The network, where it is what ``request`` asks for.

    Raises:
        WeightsError: ``request`` asks for another network.
        InputError: The description is of no network that can be exported.
    """
    before = _followed(preprocessing, network.preprocessing, origin)
    spec = replace(_spec(network, request), mean_rgb=before.mean_rgb)
    if network.logits_only and request.head_activation:
        spec = replace(spec, head_activation=request.head_activation)
    if isinstance(request, VGGSpec):
        spec = replace(spec, configuration=request.configuration)  # a name for the same blocks
    _check_asked(spec, request, origin)
    tensors: dict[str, StoredTensor] = {}
    for layer, stored in zip(spec.weighted_layers, network.tensors, strict=False):
        tensors |= {layer.kernel.name: stored.kernel, layer.bias.name: stored.bias}
    tensors[FIRST_KERNEL] = folded(tensors[FIRST_KERNEL], before)
    missing = {name: name for name in spec.tensors if name not in tensors}
    told = () if isinstance(request, VGGSpec) else (network_note(spec),)
    notes = (*told, *_notes(network, spec))
    return Fit(spec, tensors, missing, (), (), spec.configuration, notes)


_WIDE = 20.0
"""Preprocessing leaves pixels within some units; a layer that still spans more wants no bytes."""
_SHIFT = 10.0
"""What is taken off bytes, and off nothing that was divided before."""


def check_once(stated: Preprocessing, network: DescribedNetwork, origin: str) -> None:
    """Refuses a convention before a network that prepares RGB 0...255 itself.

    Numbers of the user's own are taken as they are.

    Raises:
        WeightsError: Pixels would be prepared twice.
    """
    front = network.preprocessing
    if front is None or stated.name in ("raw", "custom"):
        return
    shrinks = max(map(abs, front.scale)) * PIXEL_MAX <= _WIDE
    shifts = any(abs(b) >= _SHIFT * abs(a) for a, b in zip(front.scale, front.offset, strict=True))
    if shrinks or shifts:
        raise WeightsError(
            f"{origin} prepares RGB 0...255 itself before its first convolution, and {stated.name} "
            "in front of it would do so twice",
            Advice("leave out {}", "preprocessing"),
            Advice("state it by {} and {} if training did both", "pixel_mean", "pixel_std"),
        )


def _spec(network: DescribedNetwork, request: VGGSpec | SpecRequest) -> VGGSpec:
    """The network described; a head that it has not is the one asked for."""
    blocks = tuple(tuple(Convolution(*pair) for pair in block) for block in network.blocks)
    if not network.classes:
        sized = replace(request, input_size=network.input_size)
        asked = sized if isinstance(sized, VGGSpec) else sized.with_defaults(blocks)
        pooling = Pooling(network.pooling) if network.pooling else asked.pooling
        return replace(
            asked,
            configuration=column_of(blocks),
            blocks=blocks,
            last_pooling=network.pooled[-1],
            pooling=pooling,
        )
    return VGGSpec(
        column_of(blocks),
        blocks,
        network.classes,
        tuple(FullyConnected(*pair) for pair in network.hidden),
        network.input_size,
        last_pooling=network.pooled[-1],
        pooling=Pooling(network.pooling),
        head_activation=HeadActivation(network.head_activation),
    )


def _followed(preprocessing: Preprocessing, front: Front | None, origin: str) -> Preprocessing:
    """What comes before the network, and then what it begins with."""
    if front is None:
        return preprocessing
    order = preprocessing.channel_order
    if front.order == _REVERSED:
        order = RGB if order == BGR else BGR
    elif front.order != _REVERSED[::-1]:
        raise WeightsError(f"{origin}: its first layers put RGB in the order {front.order}")
    return replace(preprocessing, channel_order=order).followed_by(
        _three(front.scale), _three(front.offset)
    )


def _three(values: tuple[float, ...]) -> Channels:
    first, second, third = values
    return first, second, third


def _check_asked(spec: VGGSpec, request: VGGSpec | SpecRequest, origin: str) -> None:
    """Raises WeightsError, naming all that was asked for and is described otherwise."""
    names = [field.name for field in fields(request) if field.name != "mean_rgb"]
    asked: dict[str, Any] = {name: getattr(request, name) for name in names}
    described = {name: getattr(spec, name) for name in names}
    other = {n: a for n, a in asked.items() if a is not None and a != described[n]}
    if other:
        said = "; ".join(
            f"{name.replace('_', ' ')} {shown(name, value)} was asked for, it describes "
            f"{shown(name, described[name])}"
            for name, value in other.items()
        )
        raise WeightsError(f"{origin} is of another network: {said}", *ways_out(other))


def _notes(network: DescribedNetwork, spec: VGGSpec) -> Iterator[str]:
    if network.logits_only and network.classes:
        yield f"the network described ends in logits: {spec.head_activation} is added after them"
    if network.reduced:
        yield f"the network described computes in {', '.join(network.reduced)}: exported in float32"
