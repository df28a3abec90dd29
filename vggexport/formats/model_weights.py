"""What every extractor offers: a lazy mapping from native names to float32 arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError, ForeignError, one_line
from vggexport.network.layers import CHANNELS, INPUT_NAME, MEAN_SUBTRACTION_NAME, OUTPUT_NAME, Layer
from vggexport.network.rescaling import tensor_factors
from vggexport.results.build import TensorDescription

MEAN_NAME = f"{MEAN_SUBTRACTION_NAME}/mean_rgb"

_DAMAGE = (IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""What numpy and look-ups raise where sizes, types or references of a file do not go together."""


class ModelWeights(Mapping[str, NDArray[np.float32]], ABC):
    """The weights of one model file, as its operators compute with them, but for any rescaling.

    Names and layout are the native ones (``vggexport.network.layers.TensorSpec``), in order of
    computation:
    ``mean_subtraction/mean_rgb``, then kernel and bias of each layer. Indexing reads that tensor
    alone into an array of the caller's own, float32, dequantized where the file stores integers,
    and keeps nothing. It raises ``KeyError`` for a name that the network has not, and
    :class:`ArtifactError` where the file has no such operator, or not in a way that is read here.
    Values are not judged: they may be anything, NaN included.

    Attributes:
        path: The file or directory.
        artifact: What it says of itself, without its size and digest.
    """

    def __init__(self, path: Path, artifact: Artifact | None) -> None:
        if artifact is None:
            raise ForeignError(
                f"{path} does not say which network it is: not made by vggexport, or its metadata "
                "was lost; export it again"
            )
        self.path = path
        self.artifact = artifact
        tensors = artifact.spec.tensors.values()
        self._shapes = {MEAN_NAME: (CHANNELS,)} | {tensor.name: tensor.shape for tensor in tensors}
        self._layers = {
            tensor.name: layer
            for layer in artifact.spec.weighted_layers
            for tensor in layer.tensors
        }
        scales = artifact.rescaled
        self._factors = tensor_factors(artifact.spec, scales) if scales else {}

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order of computation."""
        return tuple(self._shapes)

    @property
    def input(self) -> TensorDescription:
        """What the file takes."""
        shape = (self._batch, *self.artifact.spec.image_shape)
        return TensorDescription(INPUT_NAME, self.artifact.input_dtype, shape)

    @property
    def output(self) -> TensorDescription:
        """What the file gives."""
        shape = (self._batch, self.artifact.spec.classes)
        return TensorDescription(OUTPUT_NAME, "float32", shape)

    @property
    @abstractmethod
    def operators(self) -> tuple[tuple[str, str], ...]:
        """Name and type, in the format's own words, of every operator of the graph."""

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Least and largest value that 8 bits hold of what a layer gives, by layer.

        Empty for files that do not quantize activations by ranges.
        """
        return {}

    def bias_steps(self, layer: Layer) -> NDArray[np.float32] | None:
        """What a 1 stands for in a layer's stored bias, by output; None where it is no integer."""
        del layer
        return None

    @property
    def _batch(self) -> int | str:
        return self.artifact.batch or "batch"

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def __contains__(self, name: object) -> bool:
        return name in self._shapes  # without it Mapping would read the tensor

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        expected = self._shapes[name]
        try:
            array = self._read(name)
        except _DAMAGE as error:
            raise ArtifactError(
                f"{self.path}: {name} is damaged, or stored in a way that is not read here "
                f"({one_line(error)}): export it again"
            ) from error
        if array.shape != expected:
            raise ArtifactError(
                f"{self.path}: {name} has shape {array.shape}, expected {expected}: export it again"
            )
        if factor := self._factors.get(name):
            array = array / np.float32(factor)
        # Writable and in C order: a copy only of what is a view of the file.
        return np.require(array, np.float32, ["C", "W"])

    def _read(self, name: str) -> NDArray[np.float32]:
        if name == MEAN_NAME:
            return self._mean()
        layer = self._layers[name]
        return self._kernel(layer) if name == layer.kernel.name else self._bias(layer)

    def _missing(self, operator: str) -> ArtifactError:
        """The error for an operator that the graph does not have."""
        return ArtifactError(
            f"{self.path} has no operator {operator}: not made by vggexport, or changed by another "
            "tool; export it again"
        )

    @abstractmethod
    def _mean(self) -> NDArray[np.float32]:
        """What the mean subtraction subtracts, (3,)."""

    @abstractmethod
    def _kernel(self, layer: Layer) -> NDArray[np.float32]:
        """The layer's kernel in the native layout."""

    @abstractmethod
    def _bias(self, layer: Layer) -> NDArray[np.float32]:
        """The layer's bias."""
