"""Full ``.h5`` files with descriptions as Keras 2 wrote them, written here by hand."""

import json

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from vggexport.errors import WeightsError
from vggexport.weights.keras.network import read_network

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras under numpy 2

SHAPE = (12, 8, 3)
TOLERANCE = 2e-6
FLOAT = {"trainable": True, "dtype": "float32"}
NO_CHANGE = {"strides": [1, 1], "dilation_rate": [1, 1], "groups": 1, "use_bias": True}
SPEC = [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]


def entry(class_name, name, config=None, *, after=None, call=None):
    """A layer of a functional model; ``call`` is its inbound node where it is not ``after``."""
    node = call or [[after, 0, 0, {}]]
    return {
        "class_name": class_name,
        "config": {"name": name, **FLOAT, **(config or {})},
        "name": name,
        "inbound_nodes": [node] if after or call else [],
    }


def operator(name, function, *call):
    class_name = "SlicingOpLambda" if function == "__operators__.getitem" else "TFOpLambda"
    return entry(class_name, name, {"function": function}, call=list(call))


def conv(name, filters, after, **options):
    config = {"filters": filters, "kernel_size": [3, 3], "padding": "same", "activation": "relu"}
    return entry("Conv2D", name, config | NO_CHANGE | options, after=after)


def model(members, first, last, **options):
    ends = {"input_layers": [[first, 0, 0]], "output_layers": [[last, 0, 0]]}
    return {"class_name": "Functional", "config": {"layers": members, **ends, **options}}


def inputs(name):
    return entry("InputLayer", name, {"batch_input_shape": [None, *SHAPE]})


PREPROCESSED = [
    inputs("input_1"),
    operator("tf.slice", "__operators__.getitem", "input_1", 0, 0, {"slice_spec": SPEC}),
    operator(
        *("tf.bias", "nn.bias_add", "tf.slice", 0, 0),
        {"bias": [-103.939, -116.779, -123.68], "data_format": "NHWC"},
    ),
    operator("tf.div", "math.truediv", "tf.bias", 0, 0, {"y": 64.0, "name": None}),
    operator("tf.sub", "math.subtract", "_CONSTANT_VALUE", -1, 1.0, {"y": ["tf.div", 0, 0]}),
]
BASE = [
    inputs("input_2"),
    entry("ZeroPadding2D", "pad", {"padding": [[1, 1], [1, 1]]}, after="input_2"),
    conv("a", 4, "pad", padding="valid", activation="linear"),
    entry("BatchNormalization", "bn", {"axis": [3], "epsilon": 0.001}, after="a"),
    entry("ReLU", "relu", {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}, after="bn"),
    entry("MaxPooling2D", "pool", {"pool_size": [2, 2], "strides": [2, 2]}, after="relu"),
    conv("b", 4, "pool", trainable=False),
    conv("c", 4, "b"),
]
HEAD = [
    entry("GlobalAveragePooling2D", "average", {"keepdims": False}, after="base"),
    entry("Dropout", "dropout", {"rate": 0.5, "noise_shape": None, "seed": None}, after="average"),
    entry("Dense", "top", {"units": 3, "activation": "softmax", "use_bias": True}, after="dropout"),
]


def nested(**options):
    base = model(BASE, "input_2", "c", name="base", trainable=True)
    base |= {"name": "base", "inbound_nodes": [[["tf.sub", 0, 0, {"training": False} | options]]]}
    return model([*PREPROCESSED, base, *HEAD], "input_1", "top", name="model")


@pytest.fixture
def keras_model():
    """The same network by Keras 3."""
    base = keras.Sequential(
        [
            *(keras.Input(SHAPE), layers.Conv2D(4, 3, padding="same", name="a")),
            *(layers.BatchNormalization(name="bn"), layers.ReLU(), layers.MaxPooling2D()),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="b", trainable=False),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="c"),
        ],
        name="base",
    )
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax", name="top")]
    return keras.Sequential([keras.Input(SHAPE), base, *head])


@pytest.fixture
def describe(save, keras_model):
    """description -> (the model, a file of its weights with that description)."""
    _, path = save(keras_model, ".h5")

    def write(description):
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = json.dumps(description).encode()
        return keras_model, path

    return write


def preprocessed(images):
    return 1 - (images[..., ::-1] - np.float32([103.939, 116.779, 123.68])) / 64


def test_nested_with_preprocess_input(describe, forward, by_layers, images):
    owner, path = describe(nested())
    network = read_network(path)
    assert network.preprocessing.order == (2, 1, 0)
    answers = np.asarray(owner(preprocessed(images)))
    assert answers.std(axis=0).max() > 0.005
    np.testing.assert_allclose(by_layers(path, images), answers, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(forward(network, images), answers, rtol=0, atol=TOLERANCE)
    assert np.abs(forward(network, images[..., ::-1]) - answers).max() > 0.001


def test_order_of_a_partly_frozen_model(describe, forward, images):
    """Names that do not tell: variables come as training changes them, first those it does."""
    _, path = describe(nested())
    expected = forward(read_network(path), images)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/base"]
        assert [name.split("/")[-2] for name in group.attrs["weight_names"]] == [
            *("a", "a", "bn", "bn", "c", "c", "bn", "bn", "b", "b")
        ]
        names = [f"variable_{number}" for number in range(10)]
        for name, stored in zip(names, group.attrs["weight_names"], strict=True):
            group[name] = group[stored][()]
        group.attrs["weight_names"] = names
    np.testing.assert_array_equal(forward(read_network(path), images), expected)


def test_names_of_variables_in_pieces(describe, forward, images):
    """Keras cuts a list of names that is longer than 64 kB."""
    _, path = describe(nested())
    expected = forward(read_network(path), images)
    with h5py.File(path, "r+") as file:
        attributes = file["model_weights/base"].attrs
        names = list(attributes["weight_names"])
        del attributes["weight_names"]
        attributes["weight_names0"], attributes["weight_names1"] = names[:3], names[3:]
    np.testing.assert_array_equal(forward(read_network(path), images), expected)


def test_sequential_of_a_list(describe, forward, images):
    """Keras before 2.2.3 wrote no more than the list; its first layer has the input's shape."""
    first = conv("a", 4, None, activation="linear", batch_input_shape=[None, *SHAPE])
    members = [first, *BASE[3:]]
    base = {"class_name": "Sequential", "config": {"name": "base", "layers": members}}
    owner, path = describe({"class_name": "Sequential", "config": [base, HEAD[0], HEAD[2]]})
    answers = np.asarray(owner(images / 128))
    np.testing.assert_allclose(
        forward(read_network(path), images / 128), answers, rtol=0, atol=TOLERANCE
    )


def test_called_with_training(describe):
    _, path = describe(nested(training=True))
    with pytest.raises(WeightsError, match=r"'base' \(Functional, called with training=True\)"):
        read_network(path)


@pytest.mark.parametrize(
    ("function", "call", "says"),
    [
        ("math.tanh", ["tf.div", 0, 0, {}], r"'tf.sub' \(TFOpLambda, tf.math.tanh\)"),
        ("math.truediv", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["tf.div", 0, 0]}], "a division"),
        ("math.subtract", ["tf.div", 0, 0, {"y": ["tf.bias", 0, 0]}], "a layer of 2 inputs"),
        ("nn.bias_add", ["tf.div", 0, 0, {"bias": [1] * 3, "data_format": "NCHW"}], "not last"),
        ("math.multiply", ["tf.div", 0, 0, {"y": [1, 2]}], r"constant=\[1, 2\]"),
        ("math.multiply", ["tf.div", 0, 0, {"y": [[1, 2], [3]]}], "damaged .ValueError"),
        ("math.multiply", ["tf.div", 0, 1, {"y": 2}], "not the only output"),
    ],
)
def test_operator_that_is_refused(describe, function, call, says):
    description = nested()
    description["config"]["layers"][4] = operator("tf.sub", function, *call)
    _, path = describe(description)
    with pytest.raises(WeightsError, match=says):
        read_network(path)


def test_variables_that_are_too_few(describe):
    _, path = describe(nested())
    with h5py.File(path, "r+") as file:
        group = file["model_weights/base"]
        group.attrs["weight_names"] = group.attrs["weight_names"][:-1]
    with pytest.raises(WeightsError, match=r"layer .a. .Conv2D.*base has 9 variables for 10"):
        read_network(path)
