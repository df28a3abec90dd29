"""Layers divided by powers of two, and the next ones multiplied by them: no answer changes.

ReLU, pooling and flattening carry a positive factor through, and powers of two round nothing. The
logits are never scaled: there is no next layer, and the softmax carries no factor.
"""

from __future__ import annotations

from collections.abc import Mapping

from vggexport.network.spec import VGGSpec

Scales = Mapping[str, float]
"""What the output of a layer that has weights is multiplied by; 1 for layers that are not named."""


def output_scales(spec: VGGSpec, scales: Scales) -> dict[str, float]:
    """What the output of every layer is multiplied by, those that carry it on included."""
    found, scale = {}, 1.0
    for layer in spec.layers:
        scale = scales.get(layer.name, 1.0) if layer.tensors else scale
        found[layer.name] = scale
    return found


def tensor_factors(spec: VGGSpec, scales: Scales) -> dict[str, float]:
    """What every kernel and bias is multiplied by, by its name."""
    found: dict[str, float] = {}
    before = 1.0
    for layer in spec.weighted_layers:
        scale = scales.get(layer.name, 1.0)
        found |= {layer.kernel.name: scale / before, layer.bias.name: scale}
        before = scale
    return found
