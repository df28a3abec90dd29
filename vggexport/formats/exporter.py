"""What every exporter offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.errors import Advice, InputError, VggExportError
from vggexport.quantization.int8 import ActivationQuantization
from vggexport.quantization.ranges import ActivationRanges
from vggexport.weights import Weights

SMALLER_FILE = (
    Advice("choose fewer {}", "fc_units"),
    Advice("choose a smaller {}", "precision"),
)
"""Where a file would have more bytes than its format allows."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """One file to write.

    Attributes:
        artifact: What it is to be; its JSON goes into the file.
        weights: Native-layout tensors, read one at a time.
        ranges: Activation ranges, for integer precisions only.
        taps: Layers whose output can be read from the file beside the probabilities.
        opset: ONNX operator set version, or None for the exporter's default.
    """

    artifact: Artifact
    weights: Weights
    ranges: ActivationRanges | None = None
    taps: tuple[str, ...] = ()
    opset: int | None = None

    @property
    def description(self) -> str:
        """What the file tells people of itself."""
        artifact = self.artifact
        return (
            f"VGG-{artifact.spec.configuration} (arXiv 1409.1556), {artifact.precision.value}. "
            f"Input: RGB 0...255, NHWC, {artifact.input_dtype}; the mean subtraction is inside."
        )

    def activations(self) -> Mapping[str, ActivationQuantization]:
        """Scale and zero point of each layer's output; empty where ranges are not needed.

        Raises:
            InputError: They are, and there are none.
        """
        if not self.artifact.profile.needs_ranges:
            return {}
        if self.ranges is None:
            name = self.artifact.precision.value
            raise InputError(f"{name} needs activation ranges: calibrate")
        bits = self.artifact.profile.activation_bits
        return self.ranges.quantization(symmetric=self.artifact.symmetric, bits=bits)

    @property
    def corrected_weights(self) -> Mapping[str, NDArray[np.float32]]:
        """The weights, with biases of layers that compute in integers corrected."""
        corrections = self.ranges and self.ranges.bias_corrections
        if not corrections:
            return self.weights
        int4 = self.artifact.profile.int4_blocks
        layers = self.artifact.spec.weighted_layers
        integer = [layer for layer in layers if not (int4 and layer.is_matrix)]
        return _Corrected(
            self.weights, {layer.bias.name: corrections[layer.name] for layer in integer}
        )


@dataclass(frozen=True, slots=True)
class _Corrected(Mapping[str, NDArray[np.float32]]):
    """Weights that something is added to as they are read."""

    weights: Weights
    corrections: Mapping[str, Sequence[float]]

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        value = self.weights[name]
        if name not in self.corrections:
            return value
        return value + np.array(self.corrections[name], np.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(self.weights)

    def __len__(self) -> int:
        return len(self.weights)


class BindingError(VggExportError):
    """A weight was bound twice, not at all, or to another shape or type: a defect."""


class Exporter(Protocol):
    """Writes one format."""

    def export(self, request: ExportRequest, path: Path) -> None:
        """Writes the file.

        Raises:
            InputError: The request does not fit the format.
            OSError: The file system's errors, as they are.
        """
        ...
