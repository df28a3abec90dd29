"""The classes of Keras that are known, one function each: what a layer does to the chain.

What the functions do not mention of a class is refused by ``Settings.finish``. Meanings are those
of Keras 3.15 and 2.15, which agree in all that is taken here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from vggexport.weights.keras.affine_classes import batch_normalization, normalization, rescaling
from vggexport.weights.keras.chain import Chain
from vggexport.weights.keras.config import DescribedLayer
from vggexport.weights.keras.operations import OPERATIONS
from vggexport.weights.keras.refusal import refusal, shown
from vggexport.weights.keras.settings import Settings
from vggexport.weights.stored import StoredTensor

_ADVICE = MappingProxyType(
    {
        "Lambda": "code inside a file is never run: replace it by layers.Rescaling(1/255) or "
        "layers.Normalization, or build the network without it and state its preprocessing",
        "AveragePooling2D": "expected is MaxPooling2D 2x2 between blocks, and "
        "GlobalAveragePooling2D in front of the head",
    }
)
_EXACT_SIZE_ADVICE = "build it for images of the network's own size, and resize them before"


def check_known(origin: str, layer: DescribedLayer) -> None:
    """Refuses a layer of a class that is not in the table, before its variables are looked for.

    Raises:
        WeightsError: It is not exported; the message names it.
    """
    name = layer.class_name
    if name not in PASSED_OVER and name not in CLASSES:
        raise refusal(origin, layer.name, name, advice=_ADVICE.get(name, ""))


def read_layer(chain: Chain, layer: Settings) -> str:
    """Adds a layer of a known class to the chain.

    Returns:
        The name of its dtype policy.

    Raises:
        WeightsError: It is not exported; the message names it.
    """
    class_name = layer.layer.class_name
    if class_name in PASSED_OVER:
        return "float32"
    CLASSES[class_name](chain, layer)
    return layer.finish()


def _input(chain: Chain, layer: Settings) -> None:
    shape = layer.take("batch_shape") or layer.take("batch_input_shape")
    layer.take("dtype")
    if not chain.in_front:
        return  # of a model inside, a head of its own for one: its layers have their shapes
    if not isinstance(shape, list) or len(shape) != 4:
        raise layer.refused(f"images of shape {shown(shape)}", "(None, height, width, 3) expected")
    height, width, channels = (_size_or_none(layer, value) for value in shape[1:])
    chain.input(layer, height, width, 3 if channels is None else channels)


def _size_or_none(layer: Settings, value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= _LARGEST_SIDE:
        raise layer.refused(f"a side of {shown(value)}")
    return value


_LARGEST_SIDE = 1 << 14
"""Of an image in pixels."""


def _convolution(chain: Chain, layer: Settings) -> None:
    filters, (height, width) = layer.number("filters"), layer.pair("kernel_size")
    if height != width or height % 2 == 0:
        raise layer.refused(f"kernel_size={height}x{width}")
    for key in ("strides", "dilation_rate"):
        step = layer.pair(key, 1)
        if step != (1, 1):
            raise layer.refused(f"{key}={step}")
    _check_groups(layer)
    same = _is_same(layer)
    kernel = layer.variable("kernel", (height, width, chain.channels, filters))
    chain.convolution(layer, kernel, _bias(layer, filters), same=same)
    _activation(chain, layer)


def _check_groups(layer: Settings) -> None:
    _channels_last(layer)
    if layer.number("groups", 1) != 1:
        raise layer.refused(f"groups={layer.layer.config['groups']}")


def _dense(chain: Chain, layer: Settings) -> None:
    units = layer.number("units")
    if chain.pooling:
        kernel = layer.variable("kernel", (chain.channels, units))
        chain.dense(layer, kernel, _bias(layer, units))
    else:
        raise layer.refused("on a map", "put Flatten or GlobalAveragePooling2D before it")
    _activation(chain, layer)


def _bias(layer: Settings, units: int) -> StoredTensor | None:
    return layer.variable("bias", (units,)) if layer.flag("use_bias", default=True) else None


def _activation(chain: Chain, layer: Settings) -> None:
    name = layer.take("activation")
    match name:
        case None | "linear":
            pass
        case "relu":
            chain.relu(layer)
        case "softmax" | "sigmoid":
            chain.end(layer, name)
        case _:
            known = name if isinstance(name, str) else _function_name(name)
            raise layer.refused(shown(known))


def _function_name(value: Any) -> object:
    """Of an activation that is an object."""
    if isinstance(value, Mapping):
        return value.get("registered_name") or value.get("class_name")
    return value


def _relu(chain: Chain, layer: Settings) -> None:
    layer.choice("max_value", None)
    for key in ("negative_slope", "threshold"):
        layer.choice(key, 0, None)
    chain.relu(layer)


def _softmax(chain: Chain, layer: Settings) -> None:
    layer.choice("axis", -1, 1)
    chain.end(layer, "softmax")


def _zero_padding(chain: Chain, layer: Settings) -> None:
    _channels_last(layer)
    padding = layer.take("padding", 1)
    flat = padding if isinstance(padding, list) else [padding]
    sides = [side for part in flat for side in (part if isinstance(part, list) else [part])]
    if len(set(sides)) != 1 or type(sides[0]) is not int or not 0 < sides[0] < _LARGEST_SIDE:
        raise layer.refused(f"padding={shown(padding)}")
    chain.pad(layer, sides[0])


def _max_pooling(chain: Chain, layer: Settings) -> None:
    size = layer.pair("pool_size", 2)
    if size != (2, 2):
        raise layer.refused(f"pool_size={size[0]}x{size[1]}")
    if (strides := layer.pair("strides", size[0])) != size:
        raise layer.refused(f"strides={strides}")
    same = _is_same(layer)
    _channels_last(layer)
    chain.max_pooling(layer, same=same)


def _is_same(layer: Settings) -> bool:
    return bool(layer.choice("padding", "valid", "same") == "same")


def _channels_last(layer: Settings) -> None:
    layer.choice("data_format", None, "channels_last")


def _global(pooling: str) -> Callable[[Chain, Settings], None]:
    def read(chain: Chain, layer: Settings) -> None:
        _channels_last(layer)
        chain.pool_all(layer, pooling, keeps_axes=layer.flag("keepdims", default=False))

    return read


def _flatten(chain: Chain, layer: Settings) -> None:
    _channels_last(layer)
    chain.flatten(layer)


def _reshape(chain: Chain, layer: Settings) -> None:
    """To a vector, which is Flatten."""
    shape = layer.take("target_shape")
    units = chain.channels if chain.flat else chain.channels * chain.map_size[0] * chain.map_size[1]
    if shape not in ([-1], [units]):
        raise layer.refused(f"target_shape={shown(shape)}")
    chain.flatten(layer)


def _same_size(chain: Chain, layer: Settings) -> None:
    """Resizing and cropping to the size that the images have, which changes nothing."""
    size = layer.number("height"), layer.number("width")
    _channels_last(layer)
    for key in list(layer.layer.config):
        layer.take(key)
    if not chain.in_front:
        raise layer.refused("after a convolution")
    if any(known not in (None, side) for known, side in zip(chain.size, size, strict=True)):
        raise layer.refused(f"images of {chain.size} to {size}", _EXACT_SIZE_ADVICE)
    chain.size = size


PASSED_OVER = frozenset(
    (
        *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
        *("Identity", "SpatialDropout2D", "AugMix", "RandAugment", "RandomBrightness"),
        *("RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomErasing"),
        *("RandomElasticTransform", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale"),
        *("RandomHeight", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization"),
        *("RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear"),
        *("RandomTranslation", "RandomWidth", "RandomZoom"),
    )
)
"""Classes that do nothing at inference, whatever their settings."""

CLASSES: Mapping[str, Callable[[Chain, Settings], None]] = MappingProxyType(
    {
        "Activation": _activation,
        "BatchNormalization": batch_normalization,
        "CenterCrop": _same_size,
        "Conv2D": _convolution,
        "Dense": _dense,
        "Flatten": _flatten,
        "GlobalAveragePooling2D": _global("average"),
        "GlobalMaxPooling2D": _global("max"),
        "InputLayer": _input,
        "MaxPooling2D": _max_pooling,
        "Normalization": normalization,
        "RandomCrop": _same_size,
        "ReLU": _relu,
        "Rescaling": rescaling,
        "Reshape": _reshape,
        "Resizing": _same_size,
        "Softmax": _softmax,
        "ZeroPadding2D": _zero_padding,
        **OPERATIONS,
    }
)
"""What each known class does."""
