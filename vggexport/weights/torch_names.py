"""State dicts of torch's VGG networks under the names and on the axes of the walk.

torchvision's layers are in two ``Sequential``: ``features`` numbers convolutions, their batch
normalizations and ReLUs, and poolings, ``classifier`` what is fully connected. timm calls its head
``pre_logits`` and ``head``, and people call theirs as they like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from vggexport.weights import torch_layers
from vggexport.weights.named_network import Blocks, NamedNetwork, head_names
from vggexport.weights.prefixes import without_prefix
from vggexport.weights.stored import AnyArray, Archive, StoredTensor, floating
from vggexport.weights.torch_batch_norm import EPSILON, folded_batch_norms

ENDINGS = (torch_layers.KERNEL, ".running_mean")
"""How names end in torch's state dicts, and nowhere else."""

_COUNTER = "n_averaged"
"""Of ``torch.optim.swa_utils.AveragedModel``, beside the averaged weights."""


def torch_network(archive: Archive, origin: str, asked: Blocks | None = None) -> NamedNetwork:
    """The tensors of a state dict under the names of the walk; its numbers tell its blocks.

    Raises:
        WeightsError: Names or shapes are not those of a VGG.
    """
    del asked
    prefix, stored = without_prefix({n: archive[n] for n in archive if n != _COUNTER})
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
    convolutions = [module for module in layers.values() if module not in head]
    for modules in (convolutions, head):
        tensors = {**tensors, **_absent_biases(tensors, modules)}
    linear = set(torch_layers.without_room(head, normalized))
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
        linear=frozenset(name for name, module in layers.items() if module in linear),
        notes=tuple(_notes(prefix, head, linear, normalized)),
    )


def _absent_biases(tensors: Archive, modules: Sequence[str]) -> dict[str, StoredTensor]:
    """Zeros for layers of ``bias=False``: that none of their kind has one is no damage."""
    if any(module + torch_layers.BIAS in tensors for module in modules):
        return {}
    counts = {module: tensors[module + torch_layers.KERNEL].shape[-1] for module in modules}
    return {
        module + torch_layers.BIAS: StoredTensor((count,), partial(np.zeros, count, np.float32))
        for module, count in counts.items()
    }


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


def _notes(
    prefix: str, head: list[str], linear: set[str], normalized: frozenset[str]
) -> Iterator[str]:
    if prefix:
        yield f"names: {prefix} before each is left out"
    if normalized:
        yield f"batch normalization: folded, with torch's default epsilon of {EPSILON:g} assumed"
    if rectified := [module for module in head[:-1] if module not in linear]:
        yield (
            f"a ReLU assumed after {', '.join(rectified)}, and none after {head[-1]}, as in "
            "torchvision: names do not tell"
        )
    if linear:
        yield (
            f"no ReLU after {', '.join(sorted(linear))}: the next number of the Sequential is a "
            "fully connected layer's"
        )
