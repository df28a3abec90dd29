"""Which layer of a VGG each module of a state dict is, by its number and its kernel's shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from vggexport.errors import WeightsError
from vggexport.network.layers import CHANNELS
from vggexport.weights.stored import Archive

KERNEL, BIAS = ".weight", ".bias"
MATRIX, WINDOW = 2, 4
"""Ranks of kernels: fully connected, and convolutional."""
_TIMM = {"pre_logits.fc", "head.fc"}
_LISTED = 4


def first_convolution(archive: Archive, origin: str) -> str:
    """The module that takes the channels of the image, on torch's axes.

    Raises:
        WeightsError: There is none, or more than one, or it is not number 0 of a ``Sequential``.
    """
    found = [
        name.removesuffix(KERNEL)
        for name, tensor in archive.items()
        if name.endswith(KERNEL) and len(tensor.shape) == WINDOW and tensor.shape[1] == CHANNELS
    ]
    if len(found) == 1 and re.fullmatch(r"(.*\.)?0", found[0]):
        return found[0]
    verb = "takes" if len(found) == 1 else "take"
    which = f"{_listed(found)} {verb}" if found else f"none of {_listed(list(archive))} takes"
    raise WeightsError(
        f"{origin}: {which} the 3 channels of an image; in a VGG the first layer of a Sequential "
        "does, as features.0, and no other"
    )


def modules(archive: Archive, origin: str) -> list[str]:
    """All that have weights.

    Raises:
        WeightsError: A tensor is neither a kernel nor the bias of one.
    """
    if others := [name for name in archive if not _is_of_layer(name, archive)]:
        raise WeightsError(
            f"{origin}: {_listed(others)} {'has' if len(others) == 1 else 'have'} no place in a "
            "VGG, whose tensors are the weight and the bias of convolutions, fully connected "
            "layers and batch normalizations",
            "save a state dict without what plays no part in the answers, such as counters, and "
            "with the weight itself where a weight_norm computes it",
        )
    for module in (name.rpartition(".")[0] for name in archive):
        shape = archive[module + KERNEL].shape
        if len(shape) not in (MATRIX, WINDOW):
            raise WeightsError(
                f"{origin}: {module} has a weight of shape {shape}: it is neither a convolution, "
                "nor fully connected, nor a batch normalization"
            )
    return [name.removesuffix(KERNEL) for name in archive if name.endswith(KERNEL)]


def _is_of_layer(name: str, archive: Archive) -> bool:
    module, dot, role = name.rpartition(".")
    return dot + role in (KERNEL, BIAS) and module + KERNEL in archive


def convolutions(
    archive: Archive, first: str, normalized: frozenset[str], origin: str
) -> Iterator[tuple[str, str]]:
    """Name in the walk and module of each convolution, in order.

    A convolution and its ReLU take a number each, and so does a normalization between them; a
    number that is left out before the next convolution is a pooling's. Kernels are HWIO;
    ``normalized`` are the modules that a normalization followed.

    Raises:
        WeightsError: Neighbours do not fit by their numbers or their channels.
    """
    block, number = 1, 1
    yield "block1_conv1", first
    for before, module in pairwise(_of_sequential(archive, first)):
        _check_inputs(archive, before, module, origin)
        gap = _number(module) - _number(before) - (before in normalized)
        if gap not in (2, 3):
            raise WeightsError(
                f"{origin}: {module} comes after {before}, and what lies between is not a ReLU "
                "alone, nor a ReLU and a pooling"
            )
        block, number = (block, number + 1) if gap == 2 else (block + 1, 1)
        yield f"block{block}_conv{number}", module


def _of_sequential(archive: Archive, first: str) -> list[str]:
    """Convolutions beside the first one, by their numbers."""
    place = re.compile(re.escape(first.removesuffix("0")) + r"\d+")
    names = [name.removesuffix(KERNEL) for name in archive if len(archive[name].shape) == WINDOW]
    return sorted(filter(place.fullmatch, names), key=_number)


def _number(module: str) -> int:
    return int(module.rpartition(".")[2])


def head_layers(archive: Archive, others: Sequence[str], origin: str) -> list[str]:
    """The fully connected layers in order: by their numbers, timm's ``pre_logits`` first.

    Their kernels are (inputs, outputs); ``others`` are no convolutions of the features.

    Raises:
        WeightsError: The names tell no order, or neighbours do not fit.
    """
    kinds = {re.sub(r"\.?\d+", "", module) for module in others}
    if len(kinds) > 1 and kinds != _TIMM:
        raise WeightsError(
            f"{origin}: the names {_listed(others)} do not tell which layer comes first: a "
            "Sequential, whose names are numbers, does"
        )
    ordered = sorted(others, key=_order)
    for before, module in pairwise(ordered):
        _check_inputs(archive, before, module, origin)
    return ordered


def without_room(head: Sequence[str], normalized: frozenset[str]) -> Iterator[str]:
    """Layers that the next one follows in the same ``Sequential`` with no number left for a ReLU.

    ``normalized`` are the modules that a normalization followed, which has a number too.
    """
    for before, module in pairwise(head):
        match = re.fullmatch(r"(.*\.)?(\d+)", before)
        if match and module == f"{match[1] or ''}{int(match[2]) + 1 + (before in normalized)}":
            yield before


def _order(module: str) -> tuple[bool, list[int]]:
    return module.startswith("head."), [int(number) for number in re.findall(r"\d+", module)]


def _check_inputs(archive: Archive, before: str, module: str, origin: str) -> None:
    given, taken = archive[before + KERNEL].shape[-1], archive[module + KERNEL].shape[-2]
    if given != taken:
        raise WeightsError(
            f"{origin}: {module}{KERNEL} takes {taken} values, and {before}{KERNEL} before it "
            f"gives {given}"
        )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
