"""One layer of a described network as Keras' own class computes it, from data alone.

The classes, and the settings of each, are listed here; nothing else of a description reaches Keras,
and ``from_config`` and ``load_model`` are never called. Weights are those of the file, unfolded.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from vggexport.errors import WeightsError
from vggexport.formats.keras.model import tensor_from
from vggexport.weights.keras.calls import Reference
from vggexport.weights.keras.classes import PASSED_OVER
from vggexport.weights.keras.config import INPUT_LAYER, DescribedLayer
from vggexport.weights.keras.tensors import Variables

Computation: TypeAlias = Callable[[tf.Tensor], tf.Tensor]
"""From the output of the layer before to that of this one."""

ENDS = ("softmax", "sigmoid")

_SETTINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Activation": ("activation",),
        "BatchNormalization": ("axis", "epsilon", "center", "scale"),
        "CenterCrop": ("height", "width"),
        "Conv2D": (
            *("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate"),
            *("groups", "activation", "use_bias"),
        ),
        "Dense": ("units", "activation", "use_bias"),
        "Flatten": ("data_format",),
        "GlobalAveragePooling2D": ("data_format", "keepdims"),
        "GlobalMaxPooling2D": ("data_format", "keepdims"),
        "MaxPooling2D": ("pool_size", "strides", "padding", "data_format"),
        "Normalization": ("axis", "mean", "variance", "invert"),
        "RandomCrop": ("height", "width"),
        "ReLU": ("max_value", "negative_slope", "threshold"),
        "Rescaling": ("scale", "offset"),
        "Reshape": ("target_shape",),
        "Resizing": ("height", "width", "interpolation", "crop_to_aspect_ratio"),
        "Softmax": ("axis",),
        "ZeroPadding2D": ("padding", "data_format"),
    }
)
"""What of a class's settings its output depends on."""

_TRAINED_OTHERWISE = ("BatchNormalization", "RandomCrop")
"""Those of them that compute something else while they are trained."""

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "Add": operator.add,
        "Divide": operator.truediv,
        "Multiply": operator.mul,
        "Subtract": operator.sub,
        "TrueDivide": operator.truediv,
        "__operators__.add": operator.add,
        "math.add": operator.add,
        "math.divide": operator.truediv,
        "math.multiply": operator.mul,
        "math.subtract": operator.sub,
        "math.truediv": operator.truediv,
        "nn.bias_add": operator.add,
    }
)
"""Of two operands, as Keras 3 and TensorFlow name them."""

_OPERANDS = ("y", "bias", "x2", "value")


def computation(layer: DescribedLayer, variables: Variables) -> Computation | None:
    """What a layer computes at inference; None where that is nothing.

    Its variables, by what they are to it, are read in every call.

    Raises:
        WeightsError: Its class is not known.
    """
    name = str(layer.config.get("function", layer.class_name))
    if layer.class_name in PASSED_OVER or name in (INPUT_LAYER, "Cast", "cast"):
        return None
    if layer.class_name == "Normalization":
        return _normalization(layer, variables)
    if name in _SETTINGS:
        return _of_layer(_made(layer, dict(layer.config)), tuple(variables.values()))
    if name in _OPERATORS:
        return _of_operator(layer, _OPERATORS[name])
    if name in ("GetItem", "__operators__.getitem"):
        return _indexing(layer)
    if name in ("Stack", "stack"):
        channels = layer.call.keywords["channels"]
        return lambda values: tf.stack([values[..., channel] for channel in channels], axis=-1)
    raise WeightsError(f"layer {layer.name!r} ({name}) is of an unknown class")


def ends(layer: DescribedLayer) -> bool:
    """Whether a layer makes probabilities of logits."""
    return layer.class_name == "Softmax" or layer.config.get("activation") in ENDS


def _made(layer: DescribedLayer, config: Mapping[str, Any]) -> keras.layers.Layer:
    names = _SETTINGS[layer.class_name]
    settings = {key: _plain(config[key]) for key in names if config.get(key) is not None}
    if isinstance(settings.get("axis"), list):  # as Keras 2 wrote it; [] is None
        (settings["axis"],) = settings["axis"] or [None]
    return getattr(keras.layers, layer.class_name)(**settings, dtype="float32")


def _plain(value: Any) -> Any:
    """A number, a word, or a list of them, as an array where Keras wrote it as one."""
    if isinstance(value, Mapping) and value.get("class_name") in ("__numpy__", "__tensor__"):
        return np.array(_plain(value["config"]["value"]), np.float32)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value} is not a plain value")


def _of_layer(layer: keras.layers.Layer, variables: Sequence[Any]) -> Computation:
    inference = {"training": False} if type(layer).__name__ in _TRAINED_OTHERWISE else {}

    def compute(values: tf.Tensor) -> tf.Tensor:
        tensors = [tensor_from(np.asarray(stored.read(), np.float32)) for stored in variables]
        with keras.StatelessScope(initialize_variables=False):
            if not layer.built:
                layer.build(values.shape)
            count = len(layer.trainable_variables)
            state = tensors[count:] if variables else layer.non_trainable_variables
            outputs, _ = layer.stateless_call(tensors[:count], state, values, **inference)
        return outputs

    return compute


def _normalization(layer: DescribedLayer, variables: Variables) -> Computation:
    """Its adapted values are no variables of a call, so they are given as fixed ones."""
    adapted = {role: stored.read().tolist() for role, stored in variables.items()}
    made: Computation = _made(layer, {**layer.config, **adapted})
    return made


def _of_operator(layer: DescribedLayer, function: Callable[[Any, Any], Any]) -> Computation:
    keywords = layer.call.keywords
    operands = [*layer.call.arguments, *(keywords[key] for key in _OPERANDS if key in keywords)]

    def compute(values: tf.Tensor) -> tf.Tensor:
        one, other = (
            values if isinstance(operand, Reference) else np.float32(operand)
            for operand in operands
        )
        return function(one, other)

    return compute


def _indexing(layer: DescribedLayer) -> Computation:
    given = (*layer.call.arguments[1:], layer.call.keywords.get("slice_spec"))
    return lambda values: values[given[0]]
