"""Batch normalizations of a torch network, folded into the layers right before them.

In a ``Sequential`` the layer with weights and its normalization have neighbouring numbers, so
nothing stands between them: ``scale * (kernel x + bias - mean) + shift`` is one layer again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from vggexport.errors import WeightsError
from vggexport.weights.keras.affine import Affine, Float64Array, folded_bias, folded_kernel
from vggexport.weights.stored import Archive, StoredTensor

EPSILON = 1e-5
"""Default of ``torch.nn.BatchNorm2d``, which no state dict tells."""

_ROLES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def folded_batch_norms(archive: Archive, origin: str) -> tuple[Archive, frozenset[str]]:
    """Folds each normalization into the layer with weights whose number is one less.

    Kernels have their outputs last.

    Returns:
        The tensors without those of normalizations, and the layers that had one.

    Raises:
        WeightsError: One is after something else, or its tensors are not as they must be.
    """
    folded = dict(archive)
    layers = []
    for name in archive:
        module, _, role = name.rpartition(".")
        if role == "running_mean":
            layers.append(_fold(folded, module, origin))
    return folded, frozenset(layers)


def _fold(archive: dict[str, StoredTensor], module: str, origin: str) -> str:
    """Folds one in place; returns the layer that took it."""
    layer = _number_before(module)
    kernel = archive.get(f"{layer}.weight")
    if kernel is None or len(kernel.shape) == 1:
        raise WeightsError(
            f"{origin}: {module} normalizes, and {layer or 'what is before it'} is not a layer "
            "with weights: only a batch normalization right after one can be folded"
        )
    parts = {role: archive.pop(f"{module}.{role}", None) for role in _ROLES}
    after = _affine(parts, kernel.shape[-1], f"{origin}: {module}")
    bias = archive.get(f"{layer}.bias")
    archive[f"{layer}.weight"] = folded_kernel(kernel, None, after)
    archive[f"{layer}.bias"] = folded_bias(kernel, bias, None, after)
    return layer


def _number_before(module: str) -> str:
    match = re.fullmatch(r"(.*\.)?(\d+)", module)
    return f"{match[1] or ''}{int(match[2]) - 1}" if match else ""


def _affine(parts: Mapping[str, StoredTensor | None], channels: int, label: str) -> Affine:
    """Of ``y = (x - mean) / sqrt(var + epsilon) * weight + bias`` (Ioffe and Szegedy, 2015)."""
    values: dict[str, Float64Array] = {"weight": np.ones(channels), "bias": np.zeros(channels)}
    for role in _ROLES[:4]:
        tensor = parts[role]
        if tensor is not None:
            values[role] = np.asarray(tensor.read(), dtype=np.float64)
        if role not in values or values[role].shape != (channels,):
            raise WeightsError(f"{label}.{role} is not one number for each of {channels} channels")
    if not (values["running_var"] >= 0).all():
        raise WeightsError(f"{label}.running_var has values that are not variances")
    scale = values["weight"] / np.sqrt(values["running_var"] + EPSILON)
    return Affine(scale, values["bias"] - values["running_mean"] * scale)
