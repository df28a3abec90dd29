"""How weights are stored, and how the network computes with them."""

from __future__ import annotations

from enum import StrEnum


class Precision(StrEnum):
    """How the weights are stored and how the network computes."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    DYNAMIC_INT8 = "dynamic-int8"
    """int8 weights; each image's activations are quantized as they come, without calibration."""
    INT8 = "int8"
    INT8_W4 = "int8-w4"
    """int8 with the weights of the fully connected layers in int4 blocks."""

    @property
    def needs_ranges(self) -> bool:
        """Whether activations are quantized by ranges that calibration took."""
        return self in {Precision.INT8, Precision.INT8_W4}
