"""State dicts of torch's VGG networks under the names and on the axes of the walk.

torchvision's layers are in two ``Sequential``: ``features`` numbers convolutions, their batch
normalizations and ReLUs, and poolings, ``classifier`` what is fully connected. timm calls its head
``pre_logits`` and ``head``, and people call theirs as they like.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from vggexport.weights import torch_layers
from vggexport.weights.named_network import Blocks, NamedNetwork, head_names
from vggexport.weights.prefixes import without_prefix
from vggexport.weights.stored import AnyArray, Archive, StoredTensor, floating
from vggexport.weights.torch_batch_norm import EPSILON, folded_batch_norms

ENDINGS = (torch_layers.KERNEL, ".running_mean")
"""How names end in torch's state dicts, and nowhere else."""


def torch_network(archive: Archive, origin: str, asked: Blocks | None = None) -> NamedNetwork:
    """The tensors of a state dict under the names of the walk; its numbers tell its blocks.

    Raises:
        WeightsError: Names or shapes are not those of a VGG.
    """
    del asked
    prefix, stored = without_prefix(archive)
    first = torch_layers.first_convolution(stored, origin)
    features = first.removesuffix("0")
    native = {
        name: _outputs_last(name, _floating(tensor, f"{origin}: {prefix}{name}"), features)
        for name, tensor in stored.items()
    }
    tensors, normalized = folded_batch_norms(native, origin)
    layers = dict(torch_layers.convolutions(tensors, first, normalized, origin))
    others = [name for name in torch_layers.modules(tensors, origin) if name not in layers.values()]
    head = torch_layers.head_layers(tensors, others, origin)
    layers |= dict(zip(head_names(len(head)), head, strict=True))
    names = {
        f"{name}/{role}": module + ending
        for name, module in layers.items()
        for role, ending in (("kernel", torch_layers.KERNEL), ("bias", torch_layers.BIAS))
    }
    return NamedNetwork(
        {ours: tensors[theirs] for ours, theirs in names.items() if theirs in tensors},
        {ours: prefix + theirs for ours, theirs in names.items()},
        channels_first=True,
        window=_window(stored[head[0] + torch_layers.KERNEL].shape) if head else None,
        notes=tuple(_notes(prefix, head, normalized)),
    )


def _outputs_last(name: str, tensor: StoredTensor, features: str) -> StoredTensor:
    """OIHW -> HWIO in the features, (outputs, inputs) -> (inputs, outputs) in the head."""
    rank = len(tensor.shape)
    if rank not in (torch_layers.MATRIX, torch_layers.WINDOW):
        return tensor
    outputs, inputs, *window = tensor.shape
    if rank == torch_layers.WINDOW and name.startswith(features):
        return StoredTensor((*window, inputs, outputs), partial(_transposed, tensor, (2, 3, 1, 0)))
    return StoredTensor((int(np.prod(tensor.shape[1:])), outputs), partial(_matrix, tensor))


def _floating(tensor: StoredTensor, label: str) -> StoredTensor:
    return StoredTensor(tensor.shape, lambda: floating(tensor.read(), label))


def _transposed(tensor: StoredTensor, axes: tuple[int, ...]) -> AnyArray:
    return tensor.read().transpose(axes)


def _matrix(tensor: StoredTensor) -> AnyArray:
    return tensor.read().reshape(tensor.shape[0], -1).T


def _window(shape: tuple[int, ...]) -> tuple[int, int] | None:
    return (shape[2], shape[3]) if len(shape) == torch_layers.WINDOW else None


def _notes(prefix: str, head: list[str], normalized: frozenset[str]) -> Iterator[str]:
    if prefix:
        yield f"names: {prefix} before each is left out"
    if normalized:
        yield f"batch normalization: folded, with torch's default epsilon of {EPSILON:g} assumed"
    if len(head) > 1:
        yield (
            f"a ReLU assumed after {', '.join(head[:-1])}, and none after {head[-1]}, as in "
            "torchvision: names do not tell"
        )
