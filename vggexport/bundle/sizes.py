"""Where the bytes of a model file are, and how many it would have in another precision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vggexport.artifact import Artifact
from vggexport.quantization.int4 import BLOCK_SIZE
from vggexport.spec import Layer, LayerKind, Precision, VGGSpec

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


@dataclass(frozen=True, slots=True)
class FileSize:
    """A model file's size.

    Attributes:
        path: The file.
        size_bytes: In all.
        layers: Weights of each layer in bytes, by name, scales included; by count, not by looking.
        precisions: What all weights would be in each precision that the file's format has.
    """

    path: str
    size_bytes: int
    layers: Mapping[str, int]
    precisions: Mapping[Precision, int]

    @classmethod
    def of(cls, artifact: Artifact, offered: Iterable[Precision]) -> FileSize:
        """That of a file whose size is known, and of its weights in the precisions offered."""
        layers = layer_bytes(artifact.spec, artifact.precision)
        precisions = {p: sum(layer_bytes(artifact.spec, p).values()) for p in offered}
        return cls(artifact.path, artifact.size_bytes or 0, layers, precisions)

    @property
    def other_bytes(self) -> int:
        """What is no weight: the graph, metadata, padding."""
        return self.size_bytes - sum(self.layers.values())

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "path": self.path,
            "size_bytes": self.size_bytes,
            "layers": [{"name": name, "size_bytes": size} for name, size in self.layers.items()],
            "other_bytes": self.other_bytes,
            "precisions": {p.value: size for p, size in self.precisions.items()},
        }


def layer_bytes(spec: VGGSpec, precision: Precision) -> dict[str, int]:
    """Bytes of each layer's weights, by its name."""
    return {layer.name: _bytes(layer, precision) for layer in spec.weighted_layers}


def _bytes(layer: Layer, precision: Precision) -> int:
    values, outputs = layer.kernel.size, layer.kernel.shape[-1]
    bias = layer.bias.size * _BIAS_BYTES[precision]
    if precision is Precision.INT8_W4 and layer.kind is LayerKind.FULLY_CONNECTED:
        return values * _INT4_BITS // 8 + values // BLOCK_SIZE * _BLOCK_SCALE_BYTES + bias
    kernel = values * _KERNEL_BITS[precision] // 8
    is_float = precision in {Precision.FLOAT32, Precision.FLOAT16}
    return kernel + bias + (0 if is_float else outputs * _SCALE_BYTES)
