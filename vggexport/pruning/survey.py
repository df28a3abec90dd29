"""What the network as it is makes of the images: second moments, outputs to aim at, needs.

Everything is streamed: of a layer's inputs only their second moments stay, of its outputs those at
the sampled places, both in files of a folder, a layer each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.network.forward import Array, NumpyNetwork
from vggexport.network.layers import Layer
from vggexport.pruning.elimination import Elimination, eliminate, refitted, regularized, rows_of
from vggexport.pruning.keeping import array_file, kept
from vggexport.pruning.need import needs
from vggexport.pruning.refit import dual_ridge
from vggexport.pruning.sampling import Sampler

RIDGE = 1e-3
"""Share of a layer's mean second moment that is added to all: directions that the images hardly
show must not make up for anything."""
NEED_IMAGES = 24


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Second moments of a layer's inputs with a 1 after them, (rows + 1, rows + 1).

    A layer that takes a flattened map has a row a channel, moments over all positions; its kernel
    is then that of all positions side by side.
    """

    raw: Array

    @property
    def mean(self) -> Array:
        """Of each row."""
        return self.raw[:-1, -1]

    def centred(self, ridge: float = RIDGE) -> Array:
        """H: regularized second moments about the mean."""
        found: Array = regularized(self.raw[:-1, :-1] - np.outer(self.mean, self.mean), ridge)
        return found


@dataclass(frozen=True, eq=False)
class Survey:
    """The files of one network on some images."""

    network: NumpyNetwork
    folder: Path
    images: int
    seed: int = 0

    def sampler(self, layer: Layer) -> Sampler:
        """The places of a layer."""
        return Sampler.of(self.network, layer, self.images, self.seed)

    def moments(self, layer: Layer) -> Moments:
        """Of its inputs."""
        return Moments(np.load(self.folder / f"{layer.name}.moments.npy"))

    def targets(self, layer: Layer) -> Array:
        """Its outputs before the ReLU at the places, (rows, outputs)."""
        found: Array = np.load(self.folder / f"{layer.name}.targets.npy", mmap_mode="r")
        return found

    def inputs(self, layer: Layer) -> Array:
        """What a fully connected layer takes, with a 1 after it: (images, inputs + 1)."""
        found: Array = np.load(self.folder / f"{layer.name}.inputs.npy", mmap_mode="r")
        return found

    @cached_property
    def needs(self) -> dict[str, NDArray[np.float64]]:
        """As :func:`vggexport.pruning.need.needs`."""
        return kept(self.folder / "needs.npz", dict)

    @property
    def is_done(self) -> bool:
        """Whether all images have been looked at."""
        return (self.folder / "needs.npz").exists()

    def run(self, batches: Iterable[NDArray[np.uint8]]) -> Iterator[int]:
        """Looks at the images, uint8 (images, height, width, 3), and says how many it has seen."""
        moments = {
            one.name: np.zeros((self._rows(one) + 1,) * 2, np.float32)
            for one in self.network.layers
        }
        targets = {one.name: self._targets_file(one) for one in self.network.layers}
        matrices = {
            one.name: self._file(f"{one.name}.inputs", self.images, one.kernel.shape[0] + 1)
            for one in self.network.layers
            if one.is_matrix
        }
        found: dict[str, NDArray[np.float64]] = {}
        random, first, looked = np.random.default_rng(self.seed), 0, 0
        for images in batches:
            self._look(images, first, moments, targets, matrices)
            if first < NEED_IMAGES:
                shape = (len(images), self.network.spec.classes)
                signs = random.choice([-1, 1], shape).astype(np.float32)
                for name, squares in needs(self.network, images, signs).items():
                    found[name] = found.get(name, 0.0) + squares * len(images)
                looked = first + len(images)
            first += len(images)
            yield first
        for name, sums in moments.items():
            np.save(self.folder / f"{name}.moments.npy", sums / np.float32(sums[-1, -1]))
        for file in (*targets.values(), *matrices.values()):
            file.flush()
        averages = {name: squares / looked for name, squares in found.items()}
        kept(self.folder / "needs.npz", lambda: averages)

    def _rows(self, layer: Layer) -> int:
        flat = self.network.spec.flattened_in_front_of(layer)
        return flat[-1] if flat else int(np.prod(layer.kernel.shape[:-1]))

    def _targets_file(self, layer: Layer) -> np.memmap:
        rows = self.sampler(layer).rows * self.images
        return self._file(f"{layer.name}.targets", rows, layer.kernel.shape[-1])

    def _file(self, name: str, *shape: int) -> np.memmap:
        return array_file(self.folder / f"{name}.npy", *shape)

    def _look(
        self,
        images: NDArray[np.uint8],
        first: int,
        moments: dict[str, Array],
        targets: dict[str, np.memmap],
        matrices: dict[str, np.memmap],
    ) -> None:
        inputs = self.network.enter(images)
        for layer in self.network.layers:
            sampler = self.sampler(layer)
            flat = inputs.reshape(-1, self._rows(layer)) if layer.is_matrix else inputs
            rows = sampler.inputs(flat, first)
            moments[layer.name] += rows.T @ rows
            outputs = self.network.compute(layer, inputs)
            begin = first * sampler.rows
            seen = sampler.outputs(outputs, first)
            targets[layer.name][begin : begin + len(seen)] = seen
            if layer.is_matrix:
                matrices[layer.name][first : first + len(inputs)] = sampler.inputs(inputs, first)
            inputs = self.network.leave(layer, outputs)

    def eliminate(self, layer: Layer, follower: Layer) -> Elimination:
        """In which order a layer's channels go, by what the layer after it needs of them."""
        path = self.folder / f"{layer.name}.order.npz"
        return Elimination(**kept(path, lambda: self._eliminated(layer, follower).arrays))

    def _eliminated(self, layer: Layer, follower: Layer) -> Elimination:
        kernel = self.rows_kernel(follower)
        need = np.tile(self.needs[follower.name], kernel.shape[1] // follower.kernel.shape[-1])
        weighted = kernel * np.sqrt(need).astype(np.float32)
        return eliminate(self.moments(follower).centred(), weighted, layer.kernel.shape[-1])

    def rows_kernel(self, layer: Layer) -> Array:
        """A layer's kernel, a row for each of its moments."""
        kernel = self.network.weights[layer.kernel.name]
        rows = self._rows(layer)
        if kernel.ndim > len(("inputs", "outputs")) or len(kernel) == rows:
            return kernel.reshape(rows, -1)
        return kernel.reshape(-1, rows, kernel.shape[-1]).swapaxes(0, 1).reshape(rows, -1)

    def without(
        self, layer: Layer, left: NDArray[np.intp], channels: int, outputs: NDArray[np.intp]
    ) -> Array:
        """A layer that makes up for input channels that are gone, on the network as it is.

        Args:
            layer: The layer.
            left: The input channels that are left.
            channels: How many there were.
            outputs: The outputs that are left.

        Returns:
            Kernel over bias, (inputs left + 1, outputs left).
        """
        moments, kernel = self.moments(layer), self.rows_kernel(layer)
        positions = kernel.shape[1] // layer.kernel.shape[-1]
        kernel = kernel.reshape(len(kernel), positions, -1)[:, :, outputs]
        kernel = kernel.reshape(len(kernel), -1)
        rows = rows_of(left, channels, len(kernel))
        found = refitted(moments.centred(), kernel, rows) if len(left) < channels else kernel
        shift = moments.mean @ kernel - moments.mean[rows] @ found
        bias = self.network.weights[layer.bias.name][outputs]
        bias = bias + shift.reshape(positions, -1).sum(axis=0)
        by_position = found.reshape(len(rows), positions, -1).swapaxes(0, 1)
        return np.concatenate([by_position.reshape(-1, len(outputs)), bias[None]])

    def refitted(self, layer: Layer, left: NDArray[np.intp], channels: int) -> Array:
        """The same with all outputs, a fully connected layer fitted to the images besides."""
        start = self.without(layer, left, channels, np.arange(layer.kernel.shape[-1]))
        if not layer.is_matrix:
            return start
        rows = rows_of(left, channels, layer.kernel.shape[0])
        inputs = self.inputs(layer)[:, [*rows, -1]]
        return dual_ridge(inputs, self.targets(layer), start).kernel
