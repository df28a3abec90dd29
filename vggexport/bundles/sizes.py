"""Where the bytes of a model file are, and how many it would have in another precision."""

from __future__ import annotations

from collections.abc import Iterable

from vggexport.artifact import Artifact
from vggexport.network.layers import Layer
from vggexport.network.spec import VGGSpec
from vggexport.precision import Precision, Profile
from vggexport.quantization.int4 import BLOCK_SIZE
from vggexport.results.bundle import FileSize, LayerSize

_INT4_BITS = 4
_INTEGER_BIAS_BYTES = 4
_SCALE_BYTES, _BLOCK_SCALE_BYTES = 4, 2


def file_size(artifact: Artifact, offered: Iterable[Precision]) -> FileSize:
    """The size of a file, and of its weights in the precisions offered."""
    if artifact.macs is None:  # of another converter's network the layers are not known
        return FileSize(artifact.path, artifact.size_bytes or 0, (), {})
    sizes = layer_bytes(artifact.spec, artifact.precision)
    layers = tuple(LayerSize(name, size) for name, size in sizes.items())
    precisions = {p: sum(layer_bytes(artifact.spec, p).values()) for p in offered}
    return FileSize(artifact.path, artifact.size_bytes or 0, layers, precisions)


def layer_bytes(spec: VGGSpec, precision: Precision) -> dict[str, int]:
    """Bytes of each layer's weights, by its name."""
    return {layer.name: _bytes(layer, precision.profile) for layer in spec.weighted_layers}


def _bytes(layer: Layer, profile: Profile) -> int:
    values, outputs = layer.kernel.size, layer.kernel.shape[-1]
    if profile.is_float:
        return (values + layer.bias.size) * profile.kernel_bits // 8
    bias = layer.bias.size * _INTEGER_BIAS_BYTES
    if profile.int4_blocks and layer.is_matrix:
        return values * _INT4_BITS // 8 + values // BLOCK_SIZE * _BLOCK_SCALE_BYTES + bias
    return values * profile.kernel_bits // 8 + bias + outputs * _SCALE_BYTES
