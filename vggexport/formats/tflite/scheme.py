"""What a layer with weights computes in, by precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vggexport.artifact import Artifact
from vggexport.network.layers import LOGITS_NAME, Layer
from vggexport.precision import Precision


@dataclass(frozen=True, slots=True)
class Scheme:
    """Data types of a layer with weights.

    Attributes:
        activation: Of what it reads and computes.
        kernel: Of its kernel.
        bias: Of its bias.
        convolution_version: Version of CONV_2D that has it, as TensorFlow's op_version.cc gives it;
            0 where none is used.
        fully_connected_version: Of FULLY_CONNECTED.
    """

    activation: str
    kernel: str
    bias: str
    convolution_version: int = 0
    fully_connected_version: int = 0


FLOAT32 = Scheme("float32", "float32", "float32", 1, 1)
FLOAT16 = Scheme("float32", "float16", "float16", 1, 1)
DYNAMIC = Scheme("float32", "int8", "float32", 5, 12)
INTEGER = Scheme("int8", "int8", "int32", 3, 4)
WIDE = Scheme("int16", "int8", "int64", 0, 7)
"""The last layer of int8 files. TFLite has no integer layer with a float output; int16 logits are
as good as float ones, and an int8 activation goes into int16 exactly."""
BLOCKWISE = Scheme("float32", "int4", "float32", 0, 14)


_SCHEMES: Mapping[Precision, Scheme] = {
    Precision.FLOAT32: FLOAT32,
    Precision.FLOAT16: FLOAT16,
    Precision.DYNAMIC_INT8: DYNAMIC,
    Precision.INT8: INTEGER,
    Precision.INT8_W4: INTEGER,
}


def scheme(artifact: Artifact, layer: Layer) -> Scheme:
    """What a layer with weights computes in."""
    if artifact.profile.int4_blocks and layer.is_matrix:
        return BLOCKWISE
    found = _SCHEMES[artifact.precision]
    is_wide = found is INTEGER and layer.name == LOGITS_NAME and not artifact.full_integer
    return WIDE if is_wide else found
