"""What is not exported exactly is refused in one line by the layer's name and class."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from tests.weights.keras.small_networks import SHAPE, convolution, network
from vggexport.errors import WeightsError
from vggexport.weights.keras.network import read_network

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras under numpy 2


def branched():
    inputs = keras.Input(SHAPE)
    x = convolution()(inputs)
    x = layers.Add(name="sum")([x, convolution()(x)])
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def shared():
    inputs = keras.Input(SHAPE)
    layer = convolution(name="twice")
    x = layer(convolution()(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layer(x))))


def two_inputs():
    inputs = [keras.Input(SHAPE), keras.Input(SHAPE)]
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Add()(inputs))))


def two_outputs():
    inputs = keras.Input(SHAPE)
    x = layers.Flatten()(convolution()(inputs))
    return keras.Model(inputs, [layers.Dense(3)(x), layers.Dense(2)(x)])


def operated(function):
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, network()(function(inputs)))


@keras.saving.register_keras_serializable("ours")
class Own(layers.Layer):
    def call(self, x):
        return x


@keras.saving.register_keras_serializable("ours")
class OwnModel(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x)


def own_model():
    model = OwnModel()
    model(np.zeros((1, 4), np.float32))
    return model


def quantized():
    model = network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Keras cannot quantize a convolution
        model.quantize("int8")
    return model


BN = layers.BatchNormalization
DENSE = layers.Dense

REFUSED = {
    "lambda": (
        lambda: network(front=[layers.Lambda(lambda x: x / 255, name="scale")]),
        r"'scale' \(Lambda\).*layers.Rescaling\(1/255\).*state its preprocessing",
    ),
    "own layer": (lambda: network(Own(name="x")), r"'x' \(Own, not one of Keras' own\)"),
    "own model": (own_model, r"\(OwnModel, a model of its own class\).*Sequential"),
    "branch": (branched, r"'sum' \(Add, a layer of 2 inputs\)"),
    "shared": (shared, r"'twice' \(Conv2D, called 2 times\)"),
    "two inputs": (two_inputs, "has 2 inputs, expected one"),
    "two outputs": (two_outputs, "has 2 outputs, expected one"),
    "tanh": (lambda: network(layers.Activation("tanh", name="a")), r"'a' \(Activation, tanh\)"),
    "gelu inside": (
        lambda: network(convolution(activation="gelu", name="c")), r"'c' \(Conv2D, gelu"
    ),
    "leaky": (
        lambda: network(convolution(activation=layers.LeakyReLU(), name="c")),
        r"'c' \(Conv2D, LeakyReLU\)",
    ),
    "leaky layer": (lambda: network(layers.LeakyReLU(name="l")), r"'l' \(LeakyReLU\)"),
    "PReLU": (lambda: network(layers.PReLU(name="p")), r"'p' \(PReLU\)"),
    "ReLU6": (lambda: network(layers.ReLU(6.0, name="r")), r"'r' \(ReLU, max_value=6.0\)"),
    "slope": (
        lambda: network(layers.ReLU(negative_slope=0.1, name="r")),
        r"'r' \(ReLU, negative_slope=0.1\)",
    ),
    "threshold": (
        lambda: network(layers.ReLU(threshold=1, name="r")), r"'r' \(ReLU, threshold=1"
    ),
    "strides": (lambda: network(convolution(strides=2, name="c")), r"'c' \(Conv2D, strides=\(2, 2"),
    "dilation": (
        lambda: network(convolution(dilation_rate=2, name="c")), r"'c' \(Conv2D, dilation_rate="
    ),
    "groups": (lambda: network(convolution(groups=2, name="c")), r"'c' \(Conv2D, groups=2\)"),
    "even kernel": (
        lambda: network(convolution(kernel_size=2, name="c")), r"'c' \(Conv2D, kernel_size=2x2\)"
    ),
    "oblong kernel": (
        lambda: network(convolution(kernel_size=(3, 1), name="c")), r"'c' \(Conv2D, kernel_size=3x1"
    ),
    "valid": (lambda: network(convolution(padding="valid", name="c")), r"'c' \(Conv2D, .*padding"),
    "padded twice": (
        lambda: network(layers.ZeroPadding2D(1), convolution(name="c")), r"'c' \(Conv2D, zeros 1"
    ),
    "padded on one side": (
        lambda: network(layers.ZeroPadding2D(((1, 0), (1, 1)), name="z"), convolution()),
        r"'z' \(ZeroPadding2D, padding=",
    ),
    "padded before pooling": (
        lambda: network(layers.ZeroPadding2D(1, name="z"), layers.MaxPooling2D()),
        r"'z' \(ZeroPadding2D, not right before a convolution\)",
    ),
    "rescaled after padding": (
        lambda: network(
            front=[layers.ZeroPadding2D(1, name="z"), layers.Rescaling(2.0)],
        ),
        r"'z' \(ZeroPadding2D, not right before a convolution\)",
    ),
    "depthwise": (lambda: network(layers.DepthwiseConv2D(3, name="d")), r"'d' \(DepthwiseConv2D\)"),
    "average pooling": (
        lambda: network(layers.AveragePooling2D(2, name="p")), r"'p' \(AveragePooling2D\).*Max"
    ),
    "pooling 3": (
        lambda: network(layers.MaxPooling2D(3, name="p")), r"'p' \(MaxPooling2D, pool_size=3x3"
    ),
    "pooling that overlaps": (
        lambda: network(layers.MaxPooling2D(2, 1, name="p")),
        r"'p' \(MaxPooling2D, strides=\(1, 1\)",
    ),
    "pooling same of odd": (
        lambda: network(
            *(layers.MaxPooling2D(), convolution(), layers.MaxPooling2D(), convolution()),
            layers.MaxPooling2D(padding="same", name="p"),
        ),
        r"'p' \(MaxPooling2D, padding=same on a map of 3x2\)",
    ),
    "pooling twice": (
        lambda: network(layers.MaxPooling2D(), layers.MaxPooling2D(name="p")),
        r"'p' \(MaxPooling2D, not after a convolution\)",
    ),
    "no ReLU": (
        lambda: network(convolution(activation=None, name="c"), convolution()),
        r"'c' \(Conv2D, no ReLU",
    ),
    "no ReLU at the end": (
        lambda: network(convolution(activation=None, name="c")), r"'c' \(Conv2D, no ReLU after it"
    ),
    "batch norm after ReLU": (
        lambda: network(BN(name="b"), convolution()),
        r"'b' \(BatchNormalization, after a ReLU, .*between the layer with weights and its ReLU",
    ),
    "batch norm between ReLUs": (
        lambda: network(BN(name="b"), layers.ReLU()), r"'b' \(BatchNormalization, after a ReLU"
    ),
    "batch norm before softmax": (
        lambda: network(
            head=[layers.Flatten(), DENSE(3, "relu"), BN(name="b"), layers.Softmax()]
        ),
        r"'b' \(BatchNormalization, after a ReLU",
    ),
    "batch norm axis": (
        lambda: network(BN(axis=1, name="b")), r"'b' \(BatchNormalization, axis=1\)"
    ),
    "layer norm": (
        lambda: network(layers.LayerNormalization(name="n")), r"'n' \(LayerNormalization\)"
    ),
    "factor 0": (
        lambda: network(front=[layers.Rescaling(0.0, name="r")]), r"'r' \(Rescaling, a factor of 0"
    ),
    "normalized by row": (
        lambda: network(
            front=[layers.Normalization(axis=1, mean=np.ones(12), variance=np.ones(12), name="n")]
        ),
        r"'n' \(Normalization, axis=\[1\]\)",
    ),
    "resized": (
        lambda: keras.Sequential([keras.Input((20, 20, 3)), layers.Resizing(12, 8, name="r")]),
        r"'r' \(Resizing, images of \(20, 20\) to \(12, 8\)\).*resize them before",
    ),
    "solarized": (
        lambda: network(front=[layers.Solarization(name="s")]), r"'s' \(Solarization\)"
    ),
    "grey": (
        lambda: keras.Sequential([keras.Input((12, 8, 1), name="i"), convolution()]),
        r"'i' \(InputLayer, 1 channels\).*RGB",
    ),
    "no image": (
        lambda: keras.Sequential([keras.Input((12,), name="i"), DENSE(3)]),
        r"'i' \(InputLayer, images of shape",
    ),
    "open size": (
        lambda: keras.Sequential(
            [keras.Input((None, None, 3)), convolution(), layers.GlobalMaxPooling2D(), DENSE(3)]
        ),
        "images of .x.*state the input size",
    ),
    "no head": (lambda: network(head=[layers.Flatten(name="f")]), r"'f' \(Flatten, at the end\)"),
    "ReLU at the end": (
        lambda: network(head=[layers.Flatten(), DENSE(3, "relu", name="d")]),
        r"'d' \(Dense, a ReLU at the end\)",
    ),
    "softmax of one": (
        lambda: network(head=[layers.Flatten(), DENSE(1, "softmax", name="d")]),
        r"'d' \(Dense, a softmax of one output, which is 1 for every image\).*a sigmoid",
    ),
    "softmax inside": (
        lambda: network(head=[layers.Flatten(), DENSE(3, "softmax"), DENSE(3, name="d")]),
        r"'d' \(Dense, after the softmax of the output\)",
    ),
    "dense on a map": (
        lambda: network(DENSE(3, name="d")), r"'d' \(Dense, on a map\).*Flatten"
    ),
    "convolution behind the head": (
        lambda: network(
            head=[layers.GlobalMaxPooling2D(keepdims=True), convolution(name="c")]
        ),
        r"'c' \(Conv2D, after the max of the head\)",
    ),
    "reshaped": (
        lambda: network(layers.Reshape((8, 12, 4), name="r")), r"'r' \(Reshape, target_shape="
    ),
    "quantized": (

        lambda: network(convolution(dtype="float8_from_float32", name="c")),
        r"'c' \(Conv2D, dtype QuantizedFloat8DTypePolicy\)",
    ),
    "quantized afterwards": (quantized, r"\(Dense, dtype QuantizedDTypePolicy\)"),
    "sine": (lambda: operated(keras.ops.sin), r"\(Sin\)"),
    "gathered wrongly": (
        lambda: operated(lambda x: keras.ops.stack([x[..., 0], x[..., 1], x[..., 1]], axis=-1)),
        r"\(Stack, channels \(0, 1, 1\)\)",
    ),
    "flipped": (lambda: operated(lambda x: x[:, ::-1]), r"\(GetItem, index"),
    "squared": (lambda: operated(lambda x: x * x), r"\(Multiply, a layer of 2 inputs\)"),
    "divided into": (lambda: operated(lambda x: 1 / x), r"\(TrueDivide, a division"),
    "varying constant": (
        lambda: operated(lambda x: x - np.ones((8, 3), np.float32)), r"\(Subtract, constant="
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "says"), REFUSED.values(), ids=REFUSED)
def test_refused_by_name(make, says, tmp_path):
    path = tmp_path / "model.keras"
    make().save(path)
    with pytest.raises(WeightsError, match=says) as error:
        read_network(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
