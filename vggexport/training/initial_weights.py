"""What a training begins with: weights of a source, some layers of them drawn anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.errors import Advice, InputError
from vggexport.network.head import HeadActivation
from vggexport.network.layers import LOGITS_NAME
from vggexport.network.pictures import Pictures
from vggexport.network.provenance import PruningRecord
from vggexport.network.spec import VGGSpec
from vggexport.opening.labels import read_labels
from vggexport.opening.network import NetworkOptions, check_known, opened_weights
from vggexport.system.progress import Steps
from vggexport.weights import SpecRequest, Weights
from vggexport.weights.random import training_tensors

_RANDOM = "random:"
TOLD_APART_BY_ONE = 2
"""Classes that one sigmoid output tells apart."""


class InitialWeights(Mapping[str, NDArray[np.float32]]):
    """Native tensors by name, each read or drawn when it is asked for.

    ``weights`` are the source's, of a network that may have other classes than ``spec``; ``fresh``
    names the tensors that are drawn, by ``seed`` and ``initializer``.

    Attributes:
        spec: The network.
        pictures: How pictures become pixels, from now on known.
    """

    def __init__(
        self,
        weights: Weights,
        spec: VGGSpec,
        fresh: frozenset[str],
        seed: int,
        initializer: str,
        pictures: Pictures,
    ) -> None:
        self.spec = spec
        self.pictures = replace(pictures, known=True)
        self._weights = weights
        self._fresh = fresh
        self._seed = seed
        self._drawn = training_tensors(spec, seed, initializer)

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        if name in self._fresh:
            array: NDArray[np.float32] = self._drawn[name].read()
            return array
        return self._weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.spec.tensors)

    def __len__(self) -> int:
        return len(self.spec.tensors)

    @property
    def source(self) -> str:
        """The file's name, or "random:0"."""
        return self._weights.source

    @property
    def pruning(self) -> PruningRecord | None:
        """What they were made narrower from; None where layers are drawn anew."""
        return None if self._fresh else self._weights.pruning

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these weights from others, as JSON."""
        everything = self._fresh == frozenset(self.spec.tensors)
        return {
            "sha256": None if everything else self._weights.sha256,
            "layout": self._weights.layout,
            "drawn": sorted(self._fresh),
            "seed": self._seed if self._fresh else None,
        }

    def up_to(self, layer: str) -> dict[str, NDArray[np.float32]]:
        """The tensors of a layer and of all before it, read now.

        Raises:
            InputError: One of them is drawn: what it gives for an image would mean nothing.
        """
        place = self.spec.layers.index(self.spec.layer(layer)) + 1
        names = [tensor.name for one in self.spec.layers[:place] for tensor in one.tensors]
        if drawn := [name for name in names if name in self._fresh]:
            raise InputError(
                f"{drawn[0]} is random and would be frozen",
                Advice("name weights that have it with {}", "weights"),
                Advice("train all layers with {} none", "freeze"),
            )
        return {name: self[name] for name in names}


def open_initial_weights(
    options: NetworkOptions,
    images: calibration.LabelledImages,
    steps: Steps,
    *,
    reinit: tuple[str, ...],
    initializer: str,
) -> tuple[InitialWeights, tuple[str, ...]]:
    """Opens weights for the classes of some images; layers are drawn by the options' seed.

    Returns:
        The weights, and the name of each class.

    Raises:
        WeightsError: They cannot be used.
        InputError: They are of other classes than the images.
        Unavailable: A package or the download is not to be had.
    """
    request = options.request
    if LOGITS_NAME in reinit and isinstance(request, SpecRequest):
        request = replace(request, classes=None)  # of what is drawn, not of what the file holds
    weights = opened_weights(replace(options, request=request), steps)
    check_known(weights.preprocessing, weights.source, steps, strict=options.strict)
    fresh = _fresh(weights, reinit)
    keeps_head = not any(name.startswith(f"{LOGITS_NAME}/") for name in fresh)
    outputs = _outputs(options, weights.spec, len(images.classes), keeps_head=keeps_head)
    spec = replace(weights.spec, classes=outputs)
    labels = _labels(options, weights, images, spec.label_count, keeps_head=keeps_head)
    is_random = weights.source.startswith(_RANDOM)
    seed = int(weights.source.removeprefix(_RANDOM)) if is_random else options.seed
    if fresh:
        layers = dict.fromkeys(name.partition("/")[0] for name in sorted(fresh))
        steps.progress.note(f"reinitialized, seed {seed}: {', '.join(layers)}")
    pictures = _pictures(options, weights, steps)
    return InitialWeights(weights, spec, fresh, seed, initializer, pictures), labels


def _pictures(options: NetworkOptions, weights: Weights, steps: Steps) -> Pictures:
    """Those asked for: training may change them, and says so."""
    size, recorded = weights.spec.input_size, weights.pictures
    pictures = options.pictures.on(recorded, size)
    if recorded.known and pictures.pixels(size) != recorded.pixels(size):
        steps.progress.note(
            f"{weights.source} was trained on other pictures: {recorded.words(size)}; now "
            f"{pictures.words(size)}"
        )
    return pictures


def _fresh(weights: Weights, reinit: tuple[str, ...]) -> frozenset[str]:
    if weights.source.startswith(_RANDOM):
        return frozenset(weights.spec.tensors)
    layers = {layer.name: layer for layer in weights.spec.weighted_layers}
    if unknown := [name for name in reinit if name not in layers]:
        takes = Advice(f"{{}} takes {', '.join(layers)}", "reinit")
        raise InputError(f"no layer with weights is named {unknown[0]!r}", takes)
    drawn = {tensor.name for name in reinit for tensor in layers[name].tensors}
    return frozenset(drawn | set(weights.initialized))


def _outputs(options: NetworkOptions, spec: VGGSpec, found: int, *, keeps_head: bool) -> int:
    """Outputs of the last layer: its own, those asked for, or one a folder; one can tell two."""
    if keeps_head:
        return spec.classes
    if isinstance(options.request, SpecRequest) and options.request.classes:
        return options.request.classes
    is_sigmoid = spec.head_activation is HeadActivation.SIGMOID
    return 1 if is_sigmoid and found == TOLD_APART_BY_ONE != spec.classes else found


def _labels(
    options: NetworkOptions,
    weights: Weights,
    images: calibration.LabelledImages,
    classes: int,
    *,
    keeps_head: bool,
) -> tuple[str, ...]:
    """Names of the classes: those given, those of the weights, or the folders'."""
    found = len(images.classes)
    if options.labels:
        return read_labels(options.labels, classes)
    if keeps_head and weights.labels:
        return weights.labels
    if classes == found:
        return images.classes
    if keeps_head:
        raise InputError(
            f"{weights.source} has {classes} classes and {images.source.name!r} has {found}",
            Advice(f"pass {{}} {LOGITS_NAME} to learn them from scratch", "reinit"),
        )
    raise InputError(
        f"{classes} classes were asked for, and {images.source.name!r} has {found}",
        Advice("leave out {}", "classes"),
        Advice("name them all with {}", "labels"),
    )
