"""Names of the walk, as Keras and this project write them, and other names with the same axes.

Keras calls layers that were given no name "conv2d_1" and "dense_1"; D. Frossard's conversion of the
paper's VGG16 for TensorFlow (``vgg16_weights.npz``) has "conv1_1_W" and "fc6_b".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vggexport.errors import WeightsError
from vggexport.network.layers import LOGITS_NAME
from vggexport.network.table import TABLE_1, Convolution, parse_blocks
from vggexport.weights.named_network import Blocks, NamedNetwork, head_names
from vggexport.weights.stored import Archive

_CONVOLUTION = re.compile(r"block\d+_conv\d+")
_FULLY_CONNECTED = re.compile(rf"fc\d+|{LOGITS_NAME}")
_AUTOMATIC_CONVOLUTION = re.compile(r"conv2d(_\d+)?")
_AUTOMATIC_DENSE = re.compile(r"dense(_\d+)?")
_WINDOW = 4
"""Rank of a convolution's kernel."""

_FROSSARD = re.compile(r"(?:conv(\d)_(\d)|fc([678]))_([Wb])")
_FROSSARD_HEAD = {"6": "fc1", "7": "fc2", "8": LOGITS_NAME}


def native_network(archive: Archive, origin: str, asked: Blocks | None) -> NamedNetwork:
    """The tensors of a file whose axes are native, under the names of the walk.

    Raises:
        WeightsError: Its kernels are in Theano's order, or its names do not tell its poolings.
    """
    _check_order(archive, origin)
    names = {stored: _from_frossard(stored) for stored in archive}
    if all(names.values()):
        return _renamed(archive, {stored: native or "" for stored, native in names.items()})
    layers = list(dict.fromkeys(name.rpartition("/")[0] for name in archive))
    by_order = _convolutions(archive, layers, origin, asked) | _head(layers)
    parts = {stored: stored.rpartition("/") for stored in archive}
    return _renamed(
        archive,
        {
            stored: by_order.get(layer, layer) + slash + role
            for stored, (layer, slash, role) in parts.items()
        },
    )


def _renamed(archive: Archive, names: Mapping[str, str]) -> NamedNetwork:
    return NamedNetwork(
        {native: archive[stored] for stored, native in names.items()},
        {native: stored for stored, native in names.items()},
    )


def _from_frossard(name: str) -> str | None:
    match = _FROSSARD.fullmatch(name)
    if match is None:
        return None
    block, number, fully_connected, role = match.groups()
    layer = _FROSSARD_HEAD[fully_connected] if fully_connected else f"block{block}_conv{number}"
    return f"{layer}/{'kernel' if role == 'W' else 'bias'}"


def _check_order(archive: Archive, origin: str) -> None:
    for name, tensor in archive.items():
        shape = tensor.shape
        if (
            name.endswith("/kernel")
            and len(shape) == _WINDOW
            and shape[0] != shape[1]
            and shape[2] == shape[3]
        ):
            raise WeightsError(
                f"{origin}: {name} has shape {shape}: its kernels are in Theano's order, outputs "
                "first, and flipped; load them with the Keras of that time under TensorFlow "
                "and save them again, or name the file that Keras publishes for TensorFlow"
            )


def _convolutions(
    archive: Archive, layers: list[str], origin: str, asked: Blocks | None
) -> dict[str, str]:
    """Names in the walk of convolutions that Keras named itself, by their order."""
    stored = [layer for layer in layers if _AUTOMATIC_CONVOLUTION.fullmatch(layer)]
    if not stored or any(map(_CONVOLUTION.fullmatch, layers)):
        return {}
    shapes = [archive[f"{layer}/kernel"].shape for layer in stored if f"{layer}/kernel" in archive]
    found = [Convolution(shape[0], shape[-1]) for shape in shapes]
    for blocks in (asked,) if asked else map(parse_blocks, TABLE_1.values()):
        if [convolution for block in blocks for convolution in block] == found:
            walked = [
                f"block{b}_conv{c}"
                for b, block in enumerate(blocks, 1)
                for c in range(1, len(block) + 1)
            ]
            return dict(zip(stored, walked, strict=True))
    raise WeightsError(
        f"{origin}: its {len(stored)} convolutions {stored[0]} to {stored[-1]} are those of no "
        "column of the paper's table 1, and their names do not tell where poolings are: save the "
        'whole network, model.save("vgg.keras")'
    )


def _head(layers: list[str]) -> dict[str, str]:
    """The same of fully connected layers."""
    stored = [layer for layer in layers if _AUTOMATIC_DENSE.fullmatch(layer)]
    if any(map(_FULLY_CONNECTED.fullmatch, layers)):
        return {}
    return dict(zip(stored, head_names(len(stored)), strict=True))
