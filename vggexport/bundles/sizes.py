"""Where the bytes of a model file are, and how many it would have in another precision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vggexport.artifact import Artifact
from vggexport.network.layers import Layer
from vggexport.network.spec import VGGSpec
from vggexport.precision import Precision
from vggexport.quantization.int4 import BLOCK_SIZE
from vggexport.results.bundle import FileSize, LayerSize

_KERNEL_BITS: Mapping[Precision, int] = {
    Precision.FLOAT32: 32,
    Precision.FLOAT16: 16,
    Precision.DYNAMIC_INT8: 8,
    Precision.INT8: 8,
    Precision.INT8_W4: 8,
}
_INT4_BITS = 4
_BIAS_BYTES: Mapping[Precision, int] = dict.fromkeys(Precision, 4) | {Precision.FLOAT16: 2}
_SCALE_BYTES, _BLOCK_SCALE_BYTES = 4, 2


def file_size(artifact: Artifact, offered: Iterable[Precision]) -> FileSize:
    """The size of a file, and of its weights in the precisions offered."""
    sizes = layer_bytes(artifact.spec, artifact.precision)
    layers = tuple(LayerSize(name, size) for name, size in sizes.items())
    precisions = {p: sum(layer_bytes(artifact.spec, p).values()) for p in offered}
    return FileSize(artifact.path, artifact.size_bytes or 0, layers, precisions)


def layer_bytes(spec: VGGSpec, precision: Precision) -> dict[str, int]:
    """Bytes of each layer's weights, by its name."""
    return {layer.name: _bytes(layer, precision) for layer in spec.weighted_layers}


def _bytes(layer: Layer, precision: Precision) -> int:
    values, outputs = layer.kernel.size, layer.kernel.shape[-1]
    bias = layer.bias.size * _BIAS_BYTES[precision]
    if precision is Precision.INT8_W4 and layer.is_matrix:
        return values * _INT4_BITS // 8 + values // BLOCK_SIZE * _BLOCK_SCALE_BYTES + bias
    kernel = values * _KERNEL_BITS[precision] // 8
    is_float = precision in {Precision.FLOAT32, Precision.FLOAT16}
    return kernel + bias + (0 if is_float else outputs * _SCALE_BYTES)
