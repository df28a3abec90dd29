"""The Keras network itself, run layer by layer with its weights taken one layer at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vggexport.errors import ArtifactError
from vggexport.formats.keras.model import (
    build_architecture,
    call_layer,
    start_tensorflow,
    tensor_from,
)
from vggexport.formats.runner import Images, Prepared, Runner
from vggexport.network.layers import INPUT_NAME
from vggexport.network.spec import VGGSpec

TRACED_MACS = 10**9
"""Multiply-accumulates of an image from which a layer runs as a graph, where TensorFlow computes
convolution, bias and ReLU in one pass, with two maps in memory and not three: a third less time for
VGG-D. To trace a small network takes longer than to run it."""


class KerasRunner(Runner):
    """The model of ``vggexport.formats.keras.model`` on TensorFlow's CPU kernels.

    Each layer is called statelessly with arrays from the mapping, so that no more than one layer's
    weights are in memory (fc1's 411 MB for VGG-D); with a dict of arrays nothing is read again.
    They are in the native layout by the names of ``spec.tensors``. 0 threads are what TensorFlow
    has in this process.
    """

    def __init__(
        self, spec: VGGSpec, weights: Mapping[str, NDArray[np.float32]], *, threads: int = 0
    ) -> None:
        self.runtime = f"keras {keras.__version__} on tensorflow {tf.__version__}"
        self.provider = "CPU"
        self.threads = threads
        self.artifact = None
        self._spec = spec
        self._weights = weights
        self._model: Any = None

    def __enter__(self) -> Self:
        start_tensorflow(self.threads)
        self._model = build_architecture(self._spec)
        return self

    def close(self) -> None:
        """Lets go of the network and its memory."""
        self._model = None

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs of layers by the names of the spec, in the order asked for.

        Nothing is computed, and no weight read, behind the last of them.

        Raises:
            ArtifactError: The network has no such layer.
        """
        wanted = list(names)
        layers = [layer.name for layer in self._spec.layers]
        if unknown := [name for name in wanted if name not in layers]:
            raise ArtifactError(
                f"the Keras network has no layer {', '.join(unknown)}: it has {', '.join(layers)}"
            )
        outputs = self._outputs(images)
        found: dict[str, NDArray[np.float32]] = {}
        while not found.keys() >= set(wanted):
            name, values = next(outputs)
            if name in wanted:
                found[name] = np.array(values)
        return {name: found[name] for name in wanted}

    def provider_options(self) -> dict[str, str]:
        """Whether TensorFlow has oneDNN's kernels, which is read when it starts."""
        return {name: os.environ[name] for name in ("TF_ENABLE_ONEDNN_OPTS",) if name in os.environ}

    def prepare(self, images: Images) -> Prepared:
        """The model as one TensorFlow function, all its weights in memory.

        Raises:
            ArtifactError: The images do not fit.
        """
        shape = self._spec.image_shape
        if images.shape[1:] != shape:
            raise ArtifactError(
                f"the Keras network does not run on images of shape {images.shape}: it takes "
                f"{shape} for each"
            )
        pixels = tf.convert_to_tensor(images, tf.float32)
        layers = [layer for layer in self._model.layers if layer.name != INPUT_NAME]
        weights = {layer.name: self._weights_of(layer) for layer in layers}

        def network(values: tf.Tensor) -> tf.Tensor:
            for layer in layers:
                values = call_layer(layer, weights[layer.name], values)
            return values

        run = partial(tf.function(network).get_concrete_function(pixels), pixels)
        return Prepared(run, lambda: np.array(run()))

    def _outputs(self, images: Images) -> Iterator[tuple[str, tf.Tensor]]:
        """Every Keras layer's name and output, dropout's too, computed as they are taken."""
        values = tf.convert_to_tensor(images, tf.float32)
        for layer in self._model.layers:
            if layer.name != INPUT_NAME:
                values = self._call(layer, values)
                yield layer.name, values

    def _call(self, layer: keras.layers.Layer, values: tf.Tensor) -> tf.Tensor:
        call = _traced(layer) if self._spec.macs >= TRACED_MACS else partial(call_layer, layer)
        return call(self._weights_of(layer), values)

    def _weights_of(self, layer: keras.layers.Layer) -> list[tf.Tensor]:
        return [tensor_from(self._weights[v.path]) for v in layer.trainable_variables]


@cache
def _traced(layer: keras.layers.Layer) -> Any:
    """The layer as a graph; kept, as :func:`build_architecture` keeps the layer."""
    return tf.function(partial(call_layer, layer), reduce_retracing=True)
