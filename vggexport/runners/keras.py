"""The Keras network itself, run layer by layer with its weights taken one layer at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vggexport.errors import ArtifactError
from vggexport.model import build_architecture, start_tensorflow
from vggexport.runners.interface import Images, Runner
from vggexport.spec import INPUT_NAME, VGGSpec

_ALIGNMENT_BYTES = 64
"""TensorFlow takes over a buffer as it is only on this boundary, and aborts on any other."""


class KerasRunner(Runner):
    """The model of ``vggexport.model`` on TensorFlow's CPU kernels.

    Each layer is called statelessly with arrays from the mapping, so that no more than one layer's
    weights are in memory (fc1's 411 MB for VGG-D); with a dict of arrays nothing is read again.

    Args:
        spec: The network.
        weights: Native-layout tensors by the names of ``spec.tensors``.
        threads: Threads to use; 0 for what TensorFlow has in this process.
    """

    def __init__(
        self, spec: VGGSpec, weights: Mapping[str, NDArray[np.float32]], *, threads: int = 0
    ) -> None:
        self.runtime = f"keras {keras.__version__} on tensorflow {tf.__version__}"
        self.provider = "CPU"
        self.threads = threads
        self._spec = spec
        self._weights = weights
        self._model: Any = None

    def __enter__(self) -> Self:
        start_tensorflow(self.threads)
        self._model = build_architecture(self._spec)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._model = None

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs of layers by their names, NHWC before the flattening."""
        wanted = frozenset(names)
        values = tf.convert_to_tensor(images, tf.float32)
        found = {}
        for layer in self._model.layers:
            if layer.name == INPUT_NAME:
                continue
            values = self._call(layer, values)
            if layer.name in wanted:
                found[layer.name] = np.array(values)
        if unknown := wanted - found.keys():
            raise ArtifactError(f"the Keras network has no layer {', '.join(sorted(unknown))}")
        return found

    def _call(self, layer: keras.layers.Layer, values: tf.Tensor) -> tf.Tensor:
        variables = [_tensor(self._weights[v.path]) for v in layer.trainable_variables]
        seeds = [tf.zeros(v.shape, v.dtype) for v in layer.non_trainable_variables]  # dropout's
        with keras.StatelessScope(initialize_variables=False):
            outputs, _ = layer.stateless_call(variables, seeds, values)
        return outputs


def _tensor(array: NDArray[np.float32]) -> tf.Tensor:
    """A float32 tensor on memory of its own, which goes with it.

    ``tf.convert_to_tensor`` holds a second copy while it makes the first (822 MB for fc1).
    """
    items = _ALIGNMENT_BYTES // array.itemsize
    buffer = np.empty(array.size + items, np.float32)
    offset = (-buffer.ctypes.data % _ALIGNMENT_BYTES) // array.itemsize
    aligned = buffer[offset : offset + array.size].reshape(array.shape)
    np.copyto(aligned, array)
    return tf.experimental.dlpack.from_dlpack(aligned.__dlpack__())
