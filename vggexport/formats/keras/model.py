"""The Keras model: the one definition of the network that every exporter traces.

Two forms are made from it. :func:`build_model` gives an ordinary Keras model with variables;
:func:`build_architecture` gives the same layers without a single weight allocated, for tracing
with the weights as symbols and for running layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from vggexport.errors import InputError, Unavailable
from vggexport.network.layers import INPUT_NAME, LOGITS_NAME, LayerKind
from vggexport.network.layers import Layer as LayerSpec
from vggexport.network.spec import VGGSpec
from vggexport.network.training_recipe import PAPER, Recipe
from vggexport.system.process import limited_threads
from vggexport.system.stderr_capture import silenced_stderr

if TYPE_CHECKING:
    from numpy.typing import NDArray

if keras.backend.backend() != "tensorflow":
    raise Unavailable(
        f"Keras runs on {keras.backend.backend()} here: set KERAS_BACKEND=tensorflow for vggexport"
    )

_FLOAT32 = MappingProxyType({"dtype": "float32"})
_NHWC = MappingProxyType({**_FLOAT32, "data_format": "channels_last"})
"""Said of every layer: a program that uses this package may have set Keras to something else."""

_ALIGNMENT_BYTES = 64
"""TensorFlow takes over a buffer as it is only on this boundary, and aborts on any other."""


def start_tensorflow(threads: int = 0) -> None:
    """Starts TensorFlow's runtime, without what it prints.

    Args:
        threads: For one operator, and of operators at a time; 0 for what it has, or one a core.

    Raises:
        InputError: The runtime was started with another number: it cannot be changed in a process.
    """
    try:
        if limit := threads or limited_threads():
            tf.config.threading.set_intra_op_parallelism_threads(limit)
            tf.config.threading.set_inter_op_parallelism_threads(limit)
    except RuntimeError as error:
        if not threads:
            return  # it runs, on what it was started with
        running = tf.config.threading.get_intra_op_parallelism_threads() or "one a core"
        raise InputError(
            f"TensorFlow runs on {running} threads in this process, so it cannot run on {threads}: "
            "use the same number, or another process"
        ) from error
    with silenced_stderr():
        tf.config.list_logical_devices()


@keras.saving.register_keras_serializable("vggexport")
class MeanSubtraction(keras.layers.Layer):  # type: ignore[misc]
    """Subtracts one number a channel: float32 RGB 0...255, NHWC in and out."""

    def __init__(self, mean_rgb: tuple[float, float, float], **options: Any) -> None:
        super().__init__(**options)
        self.mean_rgb = tuple(mean_rgb)

    def call(self, images: Any) -> Any:
        """Images minus the mean, before any padding."""
        return images - keras.ops.convert_to_tensor(self.mean_rgb, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to make the layer again."""
        return {**super().get_config(), "mean_rgb": self.mean_rgb}


@dataclass(frozen=True, slots=True)
class _Making:
    """What Keras layers are made with, beside the layer of the walk."""

    spec: VGGSpec
    recipe: Recipe
    initializer: str

    def weighted(self, layer: LayerSpec) -> dict[str, Any]:
        """Options of a Keras layer that has weights."""
        return {
            "name": layer.name,
            "kernel_regularizer": keras.regularizers.L2(self.recipe.weight_decay),
            "kernel_initializer": self.initializer,
            "activation": "relu" if layer.relu else None,
            **_FLOAT32,
        }


def _mean_subtraction(layer: LayerSpec, making: _Making) -> list[keras.layers.Layer]:
    return [MeanSubtraction(making.spec.mean_rgb, name=layer.name, **_FLOAT32)]


def _convolution(layer: LayerSpec, making: _Making) -> list[keras.layers.Layer]:
    size, filters = layer.kernel_size, layer.output_shape[-1]
    options = {**making.weighted(layer), **_NHWC}
    return [keras.layers.Conv2D(filters, size, padding="same", **options)]


def _max_pooling(layer: LayerSpec, _: _Making) -> list[keras.layers.Layer]:
    sizes = layer.kernel_size, layer.stride
    return [keras.layers.MaxPooling2D(*sizes, name=layer.name, **_NHWC)]


def _fully_connected(layer: LayerSpec, making: _Making) -> list[keras.layers.Layer]:
    dense = keras.layers.Dense(layer.output_shape[-1], **making.weighted(layer))
    if layer.name == LOGITS_NAME:
        return [dense]
    name = f"{layer.name}_dropout"
    return [dense, keras.layers.Dropout(making.recipe.dropout, name=name, **_FLOAT32)]


def _named(kind: Any, **options: Any) -> Callable[[LayerSpec, _Making], list[keras.layers.Layer]]:
    """A Keras layer of which nothing but its name depends on the walk."""
    return lambda layer, _: [kind(name=layer.name, **options)]


LAYERS: Mapping[LayerKind, Callable[[LayerSpec, _Making], list[keras.layers.Layer]]] = {
    LayerKind.MEAN_SUBTRACTION: _mean_subtraction,
    LayerKind.CONVOLUTION: _convolution,
    LayerKind.MAX_POOLING: _max_pooling,
    LayerKind.FLATTEN: _named(keras.layers.Flatten, **_NHWC),
    LayerKind.GLOBAL_AVERAGE_POOLING: _named(keras.layers.GlobalAveragePooling2D, **_NHWC),
    LayerKind.GLOBAL_MAX_POOLING: _named(keras.layers.GlobalMaxPooling2D, **_NHWC),
    LayerKind.FULLY_CONNECTED: _fully_connected,
    LayerKind.SOFTMAX: _named(keras.layers.Softmax, **_FLOAT32),
    LayerKind.SIGMOID: _named(keras.layers.Activation, activation="sigmoid", **_FLOAT32),
}
"""The Keras layers of one layer of the walk; their first bears its name."""


def _connect(
    spec: VGGSpec, recipe: Recipe = PAPER, initializer: str = "he_normal", after: str | None = None
) -> keras.Model:
    start_tensorflow()
    shape: tuple[int, ...] = spec.image_shape
    layers = spec.layers
    if after is not None:
        place = layers.index(spec.layer(after)) + 1
        shape, layers = layers[place - 1].output_shape, layers[place:]
    inputs = keras.Input(shape, dtype="float32", name=INPUT_NAME)
    outputs, making = inputs, _Making(spec, recipe, initializer)
    for layer in layers:
        for keras_layer in LAYERS[layer.kind](layer, making):
            outputs = keras_layer(outputs)
    return keras.Model(inputs, outputs, name=f"vgg_{spec.configuration.lower()}")


def build_model(
    spec: VGGSpec,
    weights: Mapping[str, NDArray[np.float32]] | None = None,
    *,
    recipe: Recipe = PAPER,
    after: str | None = None,
) -> keras.Model:
    """The network as an ordinary Keras model, ready for training.

    Args:
        spec: The network.
        weights: Native-layout tensors by the names of ``spec.tensors``; without them He-normal
            kernels and zero biases.
        recipe: Its L2 penalty and dropout.
        after: Leave out all layers up to this one, whose output is then the input.

    Returns:
        A model from ``images``, float32 (batch, size, size, 3) RGB 0...255, to ``probabilities``,
        float32 (batch, classes). Its ``losses`` hold the L2 penalty of each kernel.
    """
    initializer = "he_normal" if weights is None else "zeros"
    model = _connect(spec, recipe, initializer, after)
    if weights is not None:
        present = {layer.name for layer in model.layers}
        for layer in spec.weighted_layers:
            if layer.name in present:
                model.get_layer(layer.name).set_weights([weights[t.name] for t in layer.tensors])
    return model


@cache
def build_architecture(spec: VGGSpec) -> keras.Model:
    """The same model with variables that have shapes and no values; made once for a spec.

    Only ``stateless_call`` works on it and on its layers. For VGG-D this saves 553 MB and the time
    of filling them, until Keras builds another model in the same process: it then fills them in.
    """
    with keras.StatelessScope(initialize_variables=False):
        return _connect(spec)


def call_layer(layer: keras.layers.Layer, weights: Sequence[Any], values: Any) -> Any:
    """One layer of :func:`build_architecture` at inference, its weights in its variables' order.

    Returns:
        Its output.
    """
    seeds = [tf.zeros(v.shape, v.dtype) for v in layer.non_trainable_variables]  # dropout's
    with keras.StatelessScope(initialize_variables=False):
        outputs, _ = layer.stateless_call(list(weights), seeds, values)
    return outputs


def tensor_from(array: NDArray[np.float32]) -> tf.Tensor:
    """A float32 tensor on memory of its own, which goes with it.

    ``tf.convert_to_tensor`` holds a second copy while it makes the first (822 MB for fc1).
    """
    items = _ALIGNMENT_BYTES // array.itemsize
    buffer = np.empty(array.size + items, np.float32)
    offset = (-buffer.ctypes.data % _ALIGNMENT_BYTES) // array.itemsize
    aligned = buffer[offset : offset + array.size].reshape(array.shape)
    np.copyto(aligned, array)
    return tf.experimental.dlpack.from_dlpack(aligned.__dlpack__())
