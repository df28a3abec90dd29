"""Classes of Keras that scale and shift channels: what each does to the chain."""

from __future__ import annotations

from typing import Any

import numpy as np

from vggexport.weights.keras.affine import Affine
from vggexport.weights.keras.chain import Chain
from vggexport.weights.keras.refusal import shown
from vggexport.weights.keras.settings import Settings

_EPSILON = 1e-7
"""``keras.config.epsilon()``: Normalization divides by no less."""


def batch_normalization(chain: Chain, layer: Settings) -> None:
    """Adds BatchNormalization as it is at inference."""
    _last_axis(chain, layer)
    for key in ("momentum", "synchronized", "renorm_clipping", "renorm_momentum", "fused"):
        layer.take(key)
    epsilon = layer.take("epsilon", 1e-3)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise layer.refused(f"epsilon={shown(epsilon)}")
    channels = chain.channels
    scaled, centred = layer.flag("scale", default=True), layer.flag("center", default=True)
    gamma = layer.vector("gamma", channels) if scaled else np.ones(channels)
    beta = layer.vector("beta", channels) if centred else np.zeros(channels)
    variance = _variance(layer, layer.vector("moving_variance", channels))
    scale = gamma / np.sqrt(variance + epsilon)
    chain.affine(layer, Affine(scale, beta - layer.vector("moving_mean", channels) * scale))


def _variance(layer: Settings, values: Any) -> Any:
    if (values < 0).any():
        raise layer.refused("a variance below 0")
    return values


def normalization(chain: Chain, layer: Settings) -> None:
    """Adds Normalization, or its inverse."""
    shared = layer.layer.config.get("axis") == []  # axis=None: one mean of all values
    if shared:
        layer.take("axis")
    _last_axis(chain, layer)
    inverted = layer.flag("invert", default=False)
    mean, variance = (
        _statistic(layer, key, chain.channels, shared=shared) for key in ("mean", "variance")
    )
    deviation = np.maximum(np.sqrt(_variance(layer, variance)), _EPSILON)
    if inverted:
        chain.affine(layer, Affine(deviation, mean))
    else:
        chain.affine(layer, Affine(1 / deviation, -mean / deviation))


def _statistic(layer: Settings, key: str, channels: int, *, shared: bool) -> Any:
    fixed = layer.take(key)
    if fixed is not None:
        return layer.by_channel(fixed, channels, key)
    if not layer.has(key):
        raise layer.refused(f"no {key}")
    if shared:
        return layer.by_channel(layer.variable(key, ()).read(), channels, key)
    return layer.vector(key, channels)


def _last_axis(chain: Chain, layer: Settings) -> None:
    axis = layer.take("axis", -1)
    rank = 2 if chain.flat else 4
    if axis not in (-1, [-1], rank - 1, [rank - 1]):
        raise layer.refused(f"axis={shown(axis)}")


def rescaling(chain: Chain, layer: Settings) -> None:
    """Adds Rescaling."""
    scale, offset = (
        layer.by_channel(layer.take(key, default), chain.channels, key)
        for key, default in (("scale", 1), ("offset", 0))
    )
    chain.affine(layer, Affine(scale, offset))
