"""The one mapping that every source ends in: native name -> float32 array, read when asked for."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from vggexport.errors import WeightsError
from vggexport.network.pictures import UNSTATED
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing
from vggexport.network.provenance import PruningRecord
from vggexport.network.spec import VGGSpec
from vggexport.weights.stored import AnyArray, Float32Array, StoredTensor, floating

CHECK_VALUES = 1 << 22
"""Values looked at together for NaN and infinity: little memory beside a 411 MB kernel."""


class Weights(Mapping[str, Float32Array]):
    """The weights of one network, in the native layout.

    Names and shapes are those of ``spec.tensors``, in the order of use: kernels of convolutions
    HWIO on RGB, fully connected kernels (inputs, outputs) with fc1's inputs flattened HWC. Indexing
    reads and converts that tensor alone and keeps nothing: the caller holds the only copy.
    ``weights[name]`` raises ``KeyError`` for a name that the network has not, and ``WeightsError``
    where the values are unreadable, of another shape, or not finite.

    Attributes:
        spec: The network; its ``mean_rgb`` is the one that these weights need (see ``layouts``).
        source: As the artifact records it: "random:0", "imagenet", or the file's name.
        layout: The layout of the source: "native", "keras" or "torchvision".
        preprocessing: What happens to RGB 0...255 before the network that the source holds; it is
            folded into ``spec.mean_rgb`` and the first kernel.
        initialized: Names of the tensors that were filled with random weights.
        labels: A name a class where the file carries them.
        pruning: What they were made narrower from, where the file says that they were.
        pictures: How pictures became the pixels that they were trained with, where the file says.
        failures: Why the training that gave them failed, a clause each.
        size_assumed: Whether nothing tells the size of the images.
        notes: What a user should know of how the source was read, a line each.
        described: The file, where it describes the network that its weights are of; None where that
            was told from names and shapes.
    """

    def __init__(
        self,
        spec: VGGSpec,
        tensors: Mapping[str, StoredTensor],
        *,
        source: str,
        layout: str,
        preprocessing: Preprocessing = CONVENTIONS["vgg"],
        initialized: tuple[str, ...] = (),
        digest: Callable[[], str] | None = None,
        labels: tuple[str, ...] = (),
    ) -> None:
        self.spec = spec
        self.notes: tuple[str, ...] = ()
        self.pictures = UNSTATED
        self.failures: tuple[str, ...] = ()
        self.size_assumed = False
        self.described: Path | None = None
        self.pruning: PruningRecord | None = None
        self.labels = labels
        self.source = source
        self.layout = layout
        self.preprocessing = preprocessing
        self.initialized = initialized
        self._tensors = tensors
        self._digest = digest

    def __getitem__(self, name: str) -> Float32Array:
        expected = self.spec.tensors[name]
        array = _as_float32(self._tensors[name].read(), f"{self.source}: {name}")
        if array.shape != expected.shape:
            raise WeightsError(
                f"{self.source}: {name} has shape {array.shape}, expected {expected.shape}"
            )
        _check_finite(array, f"{self.source}: {name}")
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self.spec.tensors)

    def __len__(self) -> int:
        return len(self.spec.tensors)

    @property
    def trained(self) -> bool:
        """Whether every tensor comes from a file of a training that did not fail."""
        return not (self.initialized or self.failures or self.source.startswith("random:"))

    @property
    def mean_rgb(self) -> tuple[float, float, float]:
        """What the network subtracts from RGB 0...255, before any padding."""
        return self.spec.mean_rgb

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the weights file; without a file, of all tensors' bytes in order of use.

        Raises:
            WeightsError: The file cannot be read.
        """
        return (self._digest or self._digest_of_values)()

    def in_memory(self) -> Weights:
        """The same weights, all read now; indexing then gives arrays that must not be changed."""
        tensors = {}
        for name, array in self.items():
            array.flags.writeable = False
            tensors[name] = StoredTensor(array.shape, partial(_same, array))
        held = copy.copy(self)
        held._tensors = tensors  # noqa: SLF001  a copy of this very class
        return held

    def multiplied(self, factors: Mapping[str, float]) -> Weights:
        """Weights times a factor by name: exactly, where those are powers of two.

        The digest stays that of the source.
        """
        changed = copy.copy(self)
        changed._digest = lambda: self.sha256  # noqa: SLF001  a copy of this very class
        changed._tensors = {  # noqa: SLF001
            name: StoredTensor(spec.shape, partial(_product, self, name, np.float32(factors[name])))
            for name, spec in self.spec.tensors.items()
        }
        return changed

    def _digest_of_values(self) -> str:
        digest = hashlib.sha256()
        for array in self.values():
            digest.update(array.astype("<f4", copy=False).data)
        return digest.hexdigest()


def _product(weights: Weights, name: str, factor: np.float32) -> Float32Array:
    return weights[name] * factor


def _same(array: Float32Array) -> Float32Array:
    return array


def _as_float32(array: AnyArray, label: str) -> Float32Array:
    with np.errstate(over="ignore"):  # becomes infinite, which is reported
        return np.ascontiguousarray(floating(array, label), dtype=np.float32)


def _check_finite(array: Float32Array, label: str) -> None:
    flat = array.reshape(-1)
    bad = sum(
        chunk.size - int(np.count_nonzero(np.isfinite(chunk)))
        for chunk in (flat[i : i + CHECK_VALUES] for i in range(0, flat.size, CHECK_VALUES))
    )
    if bad:
        raise WeightsError(
            f"{label} has {bad} of {array.size} values that are NaN or infinite: "
            "the file is from a training that diverged, or damaged"
        )
