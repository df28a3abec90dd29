"""Networks that Keras files describe, opened: the spec, native tensors and preprocessing agree."""

import keras
import numpy as np
import pytest
from keras import layers

from vggexport.errors import WeightsError
from vggexport.network.head import FullyConnected, HeadActivation, Pooling
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.weights import SpecRequest, open_weights

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras under numpy 2

SHAPE = (12, 8, 3)


def vgg(*, front=(), pool=layers.Flatten, hidden=(), classes=3, end="softmax"):
    def convolution(filters):
        return layers.Conv2D(filters, 3, padding="same", activation="relu")

    blocks = [convolution(4), layers.MaxPooling2D(), convolution(5)]
    last = layers.Dense(classes, activation=end)
    return keras.Sequential([keras.Input(SHAPE), *front, *blocks, pool(), *hidden, last])


CASES = {
    "plain": (vgg, "caffe"),
    "rescaling inside": (lambda: vgg(front=[layers.Rescaling(1 / 127.5, -1)]), None),
    "unit outside": (vgg, "unit"),
    "both": (lambda: vgg(front=[layers.Rescaling(2.0, 1.0)]), "caffe"),
    "average": (lambda: vgg(pool=layers.GlobalAveragePooling2D), "tf"),
    "max": (lambda: vgg(pool=layers.GlobalMaxPooling2D), "tf"),
    "one sigmoid": (lambda: vgg(classes=1, end="sigmoid"), "raw"),
    "hidden": (lambda: vgg(hidden=[layers.Dense(6, "relu"), layers.Dense(4)]), "torch"),
}
OUTSIDE = {
    None: lambda x: x,
    "raw": lambda x: x,
    "unit": lambda x: x / 255,
    "tf": lambda x: x / 127.5 - 1,
    "caffe": lambda x: x[..., ::-1] - [103.939, 116.779, 123.68],
    "torch": lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("case", CASES)
def test_the_owners_answers(save, native_logits, case, suffix):
    make, outside = CASES[case]
    model, path = save(make(), suffix)
    images = np.random.default_rng(2).integers(0, 256, (5, *SHAPE), dtype=np.uint8)
    expected = np.asarray(model(OUTSIDE[outside](images.astype(np.float32)), training=False))

    weights = open_weights(str(path), SpecRequest(), preprocessing=CONVENTIONS.get(outside))
    logits = native_logits(weights, weights.spec, weights.mean_rgb, images)
    if weights.spec.head_activation == HeadActivation.SIGMOID:
        actual = 1 / (1 + np.exp(-logits))
    else:
        powers = np.exp(logits - logits.max(1, keepdims=True))
        actual = powers / powers.sum(1, keepdims=True)
    # Keras adds in float32 what is added here in float64.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-6)
    assert weights.preprocessing == CONVENTIONS[outside or "raw"]
    assert weights.preprocessing.known


def test_the_spec(save):
    _, path = save(vgg(hidden=[layers.Dense(6, "relu"), layers.Dense(4)]))
    spec = open_weights(str(path), SpecRequest()).spec
    assert spec.hidden == (FullyConnected(6), FullyConnected(4, relu=False))
    assert (spec.input_size, spec.classes, spec.last_pooling) == ((12, 8), 3, False)
    assert (spec.pooling, spec.configuration) == (Pooling.FLATTEN, "own")


def test_what_is_outside_of_a_network_without_rescaling_is_assumed(save):
    _, path = save(vgg())
    assert open_weights(str(path), SpecRequest()).preprocessing == CONVENTIONS["caffe"].assumed
    native = open_weights(str(path), SpecRequest(), layout="native")
    assert native.preprocessing == CONVENTIONS["vgg"]


def test_logits_are_said(save):
    _, path = save(vgg(end=None))
    weights = open_weights(str(path), SpecRequest())
    assert weights.notes[0] == (
        "network: configuration own, 12x8 pixels, flatten of the features, hidden layers none, "
        "3 outputs, then softmax"
    )
    assert weights.notes[1:] == (
        "the network described ends in logits: softmax is added after them",
    )
    asked = SpecRequest(head_activation=HeadActivation.SIGMOID)
    weights = open_weights(str(path), asked)
    assert weights.spec.head_activation == HeadActivation.SIGMOID
    assert weights.notes[1:] == (
        "the network described ends in logits: sigmoid is added after them",
    )


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (SpecRequest(configuration="D"), "configuration D was asked for, it describes own"),
        (SpecRequest(classes=5), "classes 5 was asked for, it describes 3: leave out classes"),
        (SpecRequest(fc_units=(8,)), "fc units 8, was asked for, it describes none"),
        (SpecRequest(input_size=(32, 32)), "input size 32 was asked for, it describes 12x8"),
        (SpecRequest(pooling="average"), "pooling average was asked for, it describes flatten"),
        (
            SpecRequest(head_activation=HeadActivation.SIGMOID),
            "head activation sigmoid was asked for, it describes softmax",
        ),
    ],
)
def test_another_network_than_described_is_refused(save, request_, says):
    _, path = save(vgg())
    with pytest.raises(WeightsError) as caught:
        open_weights(str(path), request_)
    assert says in str(caught.value)


def test_a_layer_that_is_not_exported_is_named(save):
    _, path = save(vgg(hidden=[layers.Dense(4, "tanh", name="mine")]))
    with pytest.raises(WeightsError, match=r"mine.*tanh"):
        open_weights(str(path), SpecRequest())


def headless(front=()):
    return keras.Sequential([keras.Input(SHAPE), *front, *vgg().layers[:3]])


def test_a_network_without_a_head_gets_a_random_one(save):
    _, path = save(headless())
    with pytest.raises(WeightsError, match="a network that ends in Dense is expected"):
        open_weights(str(path), SpecRequest())
    request = SpecRequest(fc_units=(6,), classes=4)
    weights = open_weights(str(path), request, init_missing=True)
    assert weights.initialized == (
        *("fc1/kernel", "fc1/bias"),
        *("predictions/kernel", "predictions/bias"),
    )
    assert weights.spec.fc_units == (6,)
    assert (weights.spec.classes, weights.spec.last_pooling) == (4, False)
    assert weights["fc1/kernel"].shape == (6 * 4 * 5, 6)
    assert len(weights.notes) == 1


def test_what_a_network_without_a_head_begins_with_counts(save):
    _, path = save(headless([layers.Rescaling(1 / 255)]))
    weights = open_weights(str(path), SpecRequest(), init_missing=True)
    assert weights.preprocessing == CONVENTIONS["raw"]
    assert weights.mean_rgb == (0, 0, 0)
    assert weights.spec.fc_units == (4096, 4096)


def test_layouts_of_others_are_no_way_to_read_a_description(tmp_path):
    vgg().save(path := tmp_path / "mine.keras")
    with pytest.raises(WeightsError, match="describes its network as Keras has it"):
        open_weights(str(path), SpecRequest(), layout="torchvision")
    keras_layout = open_weights(str(path), SpecRequest(), layout="keras")
    assert keras_layout.spec == open_weights(str(path), SpecRequest()).spec
