"""Operators written into a functional model: arithmetic with constants, and the order of channels.

What ``keras.applications.vgg16.preprocess_input`` leaves in the description when it is called on a
model's input. Keras 3 writes ``Operation`` classes (``keras.src.ops``), Keras 2 ``TFOpLambda`` and
``SlicingOpLambda`` with the name of TensorFlow's function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from vggexport.weights.keras.affine import Affine, Float64Array
from vggexport.weights.keras.calls import Reference, channels_taken
from vggexport.weights.keras.chain import CHANNELS, Chain
from vggexport.weights.keras.refusal import shown
from vggexport.weights.keras.settings import Settings

_SECOND = ("y", "bias", "x2", "value")
"""Keywords of the second operand."""


def _arithmetic(chain: Chain, layer: Settings, operator: str) -> None:
    constant, is_first = _operand(chain, layer)
    one, zero = constant * 0 + 1, constant * 0
    match operator, is_first:
        case "+", _:
            affine = Affine(one, constant)
        case "-", False:
            affine = Affine(one, -constant)
        case "-", True:
            affine = Affine(-one, constant)
        case "*", _:
            affine = Affine(constant, zero)
        case "/", False if constant.all():
            affine = Affine(1 / constant, zero)
        case _:
            raise layer.refused("a division that is not by a constant")
    chain.affine(layer, affine)


def _operand(chain: Chain, layer: Settings) -> tuple[Float64Array, bool]:
    """The constant of an operator of two, and whether it is the first."""
    if layer.keyword("data_format") not in {None, "NHWC", "NWC", "N...C"}:
        raise layer.refused("channels that are not last")
    second = [layer.keyword(key) for key in _SECOND if key in layer.layer.call.keywords]
    operands = [*layer.layer.call.arguments, *second]
    constants = [value for value in operands if not isinstance(value, Reference)]
    if len(operands) != 2 or len(constants) != 1:
        raise layer.refused("not of one tensor and one constant")
    constant = layer.by_channel(_listed(constants[0]), chain.channels, "constant")
    return constant, operands[0] is constants[0]


def _listed(value: object) -> object:
    return [_listed(part) for part in value] if isinstance(value, tuple) else value


def _operator(operator: str) -> Callable[[Chain, Settings], None]:
    return lambda chain, layer: _arithmetic(chain, layer, operator)


def _getitem(chain: Chain, layer: Settings) -> None:
    """``x[..., ::-1]``."""
    taken = channels_taken(layer.layer.call)
    layer.keyword("slice_spec")
    whole = (None, None, -1)
    if not isinstance(taken, slice) or (taken.start, taken.stop, taken.step) != whole:
        raise layer.refused(f"index {shown(layer.layer.call.arguments[1:])}")
    chain.reorder(layer, tuple(reversed(range(CHANNELS))))


def _stack(chain: Chain, layer: Settings) -> None:
    """Channels that were taken one by one."""
    channels = layer.keyword("channels") or ()
    axis = layer.take("axis", layer.keyword("axis"))
    if axis not in (-1, CHANNELS) or not all(type(channel) is int for channel in channels):
        raise layer.refused(f"axis={shown(axis)}, channels {shown(channels)}")
    chain.reorder(layer, tuple(channels))


def _cast(chain: Chain, layer: Settings) -> None:
    dtype = layer.keyword("dtype") or layer.layer.config.get("dtype")
    if dtype != "float32" or not chain.in_front:
        raise layer.refused(f"to {shown(dtype)}")


def _tensorflow(chain: Chain, layer: Settings) -> None:
    function = layer.take("function")
    read = _FUNCTIONS.get(function)
    if read is None:
        raise layer.refused(f"tf.{shown(function)}")
    read(chain, layer)


_FUNCTIONS: Mapping[object, Callable[[Chain, Settings], None]] = MappingProxyType(
    {
        "__operators__.add": _operator("+"),
        "__operators__.getitem": _getitem,
        "cast": _cast,
        "math.add": _operator("+"),
        "math.divide": _operator("/"),
        "math.multiply": _operator("*"),
        "math.subtract": _operator("-"),
        "math.truediv": _operator("/"),
        "nn.bias_add": _operator("+"),
        "stack": _stack,
    }
)
"""TensorFlow's functions, as ``TFOpLambda`` names them."""

OPERATIONS: Mapping[str, Callable[[Chain, Settings], None]] = MappingProxyType(
    {
        "Add": _operator("+"),
        "Cast": _cast,
        "Divide": _operator("/"),
        "GetItem": _getitem,
        "Multiply": _operator("*"),
        "SlicingOpLambda": _tensorflow,
        "Stack": _stack,
        "Subtract": _operator("-"),
        "TFOpLambda": _tensorflow,
        "TrueDivide": _operator("/"),
    }
)
"""What each class of operator does."""
