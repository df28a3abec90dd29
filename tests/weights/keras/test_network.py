"""Every network that is read answers as Keras answers."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from vggexport.errors import WeightsError
from vggexport.weights.keras import affine
from vggexport.weights.keras.affine import Preprocessing
from vggexport.weights.keras.network import read_network

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras under numpy 2

SHAPE = (12, 8, 3)
TOLERANCE = 2e-6
"""On probabilities: Keras adds float32, the network in numpy float64."""


def convolution(filters=4, **options):
    return layers.Conv2D(filters, 3, **{"padding": "same", "activation": "relu"} | options)


def vgg(*, front=(), features=None, pool=layers.Flatten, hidden=(), head=None):
    """Layers of two blocks and a head."""
    blocks = [convolution(), convolution(), layers.MaxPooling2D(), convolution(5)]
    return [
        *front,
        *(blocks if features is None else features),
        pool(),
        *hidden,
        *(head or [layers.Dense(3, activation="softmax")]),
    ]


def sequential(members, shape=SHAPE, **options):
    return keras.Sequential([keras.Input(shape), *members], **options)


def functional(members, shape=SHAPE, *, front=lambda x: x, **options):
    inputs = keras.Input(shape)
    x = front(inputs)
    for member in members:
        x = member(x)
    return keras.Model(inputs, x, **options)


def nested_twice():
    inner = sequential([convolution(), convolution()], name="inner")
    outer = functional([inner, convolution(), layers.MaxPooling2D()], name="outer")
    return sequential([outer, convolution(), layers.Flatten(), layers.Dense(3, "softmax")])


def head_of_its_own():
    """A model of the convolutions, and one of the dense layers, whose input is a vector."""
    *features, last = vgg()
    head = keras.Sequential([keras.Input((5 * 6 * 4,)), last], name="top")
    return functional([sequential(features, name="base"), head])


def namesakes():
    """Two models inside one, whose layers have the same names."""
    first = sequential([convolution(name="a"), convolution(name="b")], name="first")
    second = sequential([convolution(name="b"), convolution(name="a")], (12, 8, 4), name="second")
    base = sequential([first, second, layers.MaxPooling2D()], name="base")
    return functional([base, layers.Flatten(), layers.Dense(3, "softmax")])


def partly_frozen():
    members = [convolution(activation=None), layers.BatchNormalization(), layers.ReLU()]
    base = functional([*members, convolution(), convolution(), convolution()], name="base")
    base.layers[-2].trainable = False
    return functional([base, layers.Flatten(), layers.Dense(3, "softmax")])


def misnamed():
    head = [layers.Dense(4, "relu", name="predictions"), layers.Dense(3, "softmax", name="fc1")]
    features = [convolution(name="z"), convolution(name="block9"), layers.MaxPooling2D(name="conv")]
    return functional([*features, layers.Flatten(name="a"), *head])


def normalized(*order):
    """A convolution without activation and what follows it."""
    return [convolution(activation=None), *order]


def adapted(axis=-1):
    layer = layers.Normalization(axis)
    layer.adapt(np.random.default_rng(0).uniform(0, 255, (8, *SHAPE)).astype(np.float32))
    return layer


def unbuilt():
    model = keras.Sequential(vgg(front=[layers.Rescaling(1 / 255)]))
    model.build((None, *SHAPE))
    return model


def preprocessed(mode):
    def front(x):
        return keras.src.applications.imagenet_utils.preprocess_input(x, mode=mode)

    return lambda: functional(vgg(), front=front)


def arithmetic(x):
    x = keras.ops.cast(x[..., ::-1], "float32")
    x = 1 - (x / 100 - np.float32([0.5, 1, 1.5])) * 2
    return keras.ops.divide(keras.ops.add(0.25, x), 3)


BN = layers.BatchNormalization
RELU = layers.ReLU


@dataclass(frozen=True)
class Case:
    make: Callable[[], keras.Model]
    span: float = 255.0  # the images' largest value
    suffix: str = ".keras"


def plain(**options):
    """A network that takes its images as they are: small, for answers that are not saturated."""
    return Case(lambda: sequential(vgg(**options)), span=2)


CASES = {
    "sequential": Case(lambda: sequential(vgg()), 2),
    "sequential h5": Case(lambda: sequential(vgg()), 2, ".h5"),
    "functional": Case(lambda: functional(vgg()), 2),
    "functional h5": Case(lambda: functional(vgg()), 2, ".h5"),
    "nested twice": Case(nested_twice, 2),
    "a head of its own": Case(head_of_its_own, 2),
    "nested twice h5": Case(nested_twice, 2, ".h5"),
    "namesakes": Case(namesakes, 2),
    "namesakes h5": Case(namesakes, 2, ".h5"),
    "partly frozen": Case(partly_frozen, 2),
    "partly frozen h5": Case(partly_frozen, 2, ".h5"),
    "misnamed": Case(misnamed, 2),
    "misnamed h5": Case(misnamed, 2, ".h5"),
    "called without training": Case(
        lambda: functional([], front=lambda x: sequential(vgg())(x, training=False)), 2
    ),
    "unbuilt": Case(unbuilt),
    "unbuilt h5": Case(unbuilt, suffix=".h5"),
    "padded": plain(
        features=[layers.ZeroPadding2D(1), layers.Conv2D(4, 3), layers.ReLU(), convolution()]
    ),
    "other kernels": plain(
        features=[
            *(layers.Conv2D(4, 1, activation="relu"), convolution(use_bias=False)),
            *(layers.ZeroPadding2D(2), layers.Conv2D(4, 5, activation="relu")),
        ]
    ),
    "activation apart": plain(features=normalized(layers.Activation("relu"), RELU())),
    "pooling before ReLU": plain(features=normalized(layers.MaxPooling2D(), RELU())),
    "pooling same": plain(features=[convolution(), layers.MaxPooling2D(2, padding="same")]),
    "three poolings": plain(
        features=[convolution(), layers.MaxPooling2D()] * 0
        + [
            *(convolution(), layers.MaxPooling2D(), convolution(), layers.MaxPooling2D()),
            *(convolution(), layers.MaxPooling2D()),
        ]
    ),
    "batch norm": plain(
        features=[*normalized(BN(), RELU()), *normalized(BN(epsilon=1e-5), RELU())]
    ),
    "batch norm h5": Case(
        lambda: functional(vgg(features=normalized(BN(epsilon=0.1), RELU()))), 2, ".h5"
    ),
    "batch norm of bare convolution": plain(
        features=[convolution(activation=None, use_bias=False), BN(), RELU()]
    ),
    "batch norm twice": plain(
        features=normalized(BN(scale=False), layers.Rescaling(0.5, 1), BN(center=False), RELU())
    ),
    "batch norm after pooling": plain(features=normalized(layers.MaxPooling2D(), BN(), RELU())),
    "batch norm before flatten": plain(features=[convolution(), BN()]),
    "batch norm, pooling, flatten": plain(features=[convolution(), BN(), layers.MaxPooling2D()]),
    "batch norm before average": plain(
        features=[convolution(), BN()], pool=layers.GlobalAveragePooling2D
    ),
    "batch norm before maximum": plain(
        features=[convolution(), BN()], pool=layers.GlobalMaxPooling2D
    ),
    "batch norm of vectors": plain(
        hidden=[
            *(BN(), layers.Dense(6), BN(), RELU(), layers.Dropout(0.5), BN()),
            *(layers.Dense(5, "relu"), BN(axis=1)),
        ],
        head=[layers.Dense(3), BN(), layers.Softmax()],
    ),
    "batch norm at the front": plain(front=[BN()]),
    "rescaled": Case(lambda: sequential(vgg(front=[layers.Rescaling(1 / 255)]))),
    "rescaled h5": Case(
        lambda: sequential(vgg(front=[layers.Rescaling(1 / 127.5, offset=-1)])), suffix=".h5"
    ),
    "augmented, rescaled by channel": Case(
        lambda: sequential(
            vgg(
                front=[
                    sequential([layers.RandomFlip(), layers.RandomZoom(0.2)]),
                    layers.Rescaling(np.array([0.01, 0.02, 0.03]), [1.0, 2.0, 3.0]),
                    layers.Rescaling(0.5),
                ]
            )
        )
    ),
    "normalized": Case(
        lambda: sequential(
            vgg(front=[layers.Normalization(mean=[9, 99, 199], variance=[99, 999, 9999])])
        )
    ),
    "normalized by one number": Case(
        lambda: sequential(vgg(front=[layers.Normalization(mean=9, variance=9999)]))
    ),
    "inverted": plain(
        front=[layers.Normalization(mean=[1, 2, 3], variance=[1, 2, 3], invert=True)]
    ),
    "adapted": Case(lambda: sequential(vgg(front=[adapted()]))),
    "adapted h5": Case(lambda: sequential(vgg(front=[adapted()])), suffix=".h5"),
    "adapted as a whole": Case(lambda: sequential(vgg(front=[adapted(axis=None)]))),
    "adapted inside": Case(lambda: sequential([sequential([adapted(), *vgg()])]), suffix=".h5"),
    "resized to its own size": plain(
        front=[layers.Resizing(12, 8), layers.CenterCrop(12, 8), layers.RandomCrop(12, 8)]
    ),
    "resized to the only size": Case(
        lambda: functional(vgg(front=[layers.Resizing(12, 8)]), (None, None, 3)), 2
    ),
    "sigmoid": plain(head=[layers.Dense(3, "sigmoid")]),
    "one sigmoid": plain(head=[layers.Dense(1), layers.Activation("sigmoid")]),
    "softmax apart": plain(head=[layers.Dense(3), layers.Activation("linear"), layers.Softmax()]),
    "hidden layers": plain(hidden=[layers.Dense(7, "relu"), layers.Dropout(0.5), layers.Dense(4)]),
    "average": plain(pool=layers.GlobalAveragePooling2D),
    "maximum": plain(pool=layers.GlobalMaxPooling2D),
    "average, flattened": plain(
        pool=lambda: layers.GlobalAveragePooling2D(keepdims=True), hidden=[layers.Flatten()]
    ),
    "reshaped": plain(pool=lambda: layers.Reshape((-1,))),
    "preprocess_input": Case(preprocessed("caffe")),
    "preprocess_input h5": Case(preprocessed("caffe"), suffix=".h5"),
    "preprocess_input tf": Case(preprocessed("tf")),
    "preprocess_input torch": Case(preprocessed("torch")),
    "arithmetic": Case(lambda: functional(vgg(), front=arithmetic)),
    "arithmetic h5": Case(lambda: functional(vgg(), front=arithmetic), suffix=".h5"),
    "noise": plain(
        front=[layers.GaussianNoise(1)],
        features=[
            *(convolution(), layers.SpatialDropout2D(0.5), layers.ActivityRegularization(0.1)),
            *(layers.Identity(), layers.ZeroPadding2D(1), layers.GaussianDropout(0.5)),
            layers.Conv2D(4, 3, activation="relu"),
        ],
        hidden=[layers.AlphaDropout(0.5)],
    ),
}


@pytest.fixture
def read(save, images):
    """case -> (network, its file, images, Keras' answers)."""

    def read_case(case: Case):
        model, path = save(case.make(), case.suffix)
        pixels = images * np.float32(case.span / 255)
        answers = np.asarray(model(pixels, training=False))
        assert answers.std(axis=0).max() > 0.01, "answers that differ"
        return read_network(path), path, pixels, answers

    return read_case


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_answers_as_keras_does(read, forward, by_layers, case):
    """Both what is exported and the reference of checks, which Keras computes layer by layer."""
    network, path, pixels, answers = read(case)
    assert not network.logits_only
    assert network.reduced == ()
    np.testing.assert_allclose(forward(network, pixels), answers, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(by_layers(path, pixels), answers, rtol=0, atol=TOLERANCE)


def test_value(read):
    network, *_ = read(CASES["three poolings"])
    assert network.input_size == (12, 8)
    assert network.preprocessing is None
    assert network.blocks == (((3, 4),), ((3, 4),), ((3, 4),))
    assert network.pooled == (True, True, True)
    assert (network.pooling, network.hidden, network.classes) == ("flatten", (), 3)
    assert network.head_activation == "softmax"
    assert [layer.kernel.shape for layer in network.tensors] == [
        *((3, 3, 3, 4), (3, 3, 4, 4), (3, 3, 4, 4), (4, 3))
    ]


def test_hidden_layers_and_last_pooling(read):
    network, *_ = read(CASES["hidden layers"])
    assert network.hidden == ((7, True), (4, False))
    assert network.blocks == (((3, 4), (3, 4)), ((3, 5),))
    assert network.pooled == (True, False)


@pytest.mark.parametrize(
    ("case", "tells"),
    [
        *(("rescaled", True), ("adapted", True), ("preprocess_input", True)),
        *(("sequential", False), ("batch norm at the front", False)),
    ],
)
def test_whether_it_takes_images_as_they_are(read, case, tells):
    network, *_ = read(CASES[case])
    assert network.preprocesses is tells


def test_preprocessing(read):
    network, *_ = read(CASES["preprocess_input"])
    front = network.preprocessing
    assert (front.scale, front.order) == ((1, 1, 1), (2, 1, 0))
    assert front.offset == pytest.approx((-103.939, -116.779, -123.68), rel=1e-6)
    network, *_ = read(CASES["rescaled h5"])
    assert network.preprocessing == Preprocessing((1 / 127.5,) * 3, (-1,) * 3, (0, 1, 2))


@pytest.mark.parametrize(("units", "activation"), [(3, "softmax"), (1, "sigmoid")])
def test_logits_are_said(save, images, forward, by_layers, units, activation):
    model, path = save(sequential(vgg(head=[layers.Dense(units)])))
    network = read_network(path)
    assert (network.head_activation, network.logits_only) == (activation, True)
    logits = model(images / 128, training=False)
    expected = np.asarray(getattr(keras.ops, activation)(logits))
    np.testing.assert_allclose(forward(network, images / 128), expected, rtol=0, atol=TOLERANCE)
    reference = by_layers(path, images / 128, network.head_activation)
    np.testing.assert_allclose(reference, expected, rtol=0, atol=TOLERANCE)


def test_reduced_precision_is_said(save):
    members = vgg()
    members[0] = convolution(dtype="mixed_float16")
    _, path = save(sequential(members))
    network = read_network(path)
    assert network.reduced == ("mixed_float16",)
    assert np.array_equal(network.tensors[0].kernel.read(), np.asarray(members[0].kernel))


def test_open_size(save, forward, images):
    pool = layers.GlobalAveragePooling2D
    model, path = save(functional(vgg(pool=pool), (None, None, 3)))
    network = read_network(path, input_size=(12, 8))
    assert network.input_size == (12, 8)
    expected = np.asarray(model(images / 128))
    np.testing.assert_allclose(forward(network, images / 128), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("suffix", [".weights.h5", "_weights.h5"])
def test_weights_alone_describe_nothing(save, tmp_path, suffix):
    model, full = save(sequential(vgg()), ".h5")
    path = tmp_path / f"alone{suffix}"
    if suffix == ".weights.h5":
        model.save_weights(path)
    else:
        with h5py.File(full) as source, h5py.File(path, "w") as target:
            for name in source["model_weights"]:
                source.copy(f"model_weights/{name}", target)
    assert read_network(path) is None


def test_tensors_are_read_when_asked_for(save, monkeypatch):
    _, path = save(sequential(vgg()))
    network = read_network(path)
    path.unlink()
    with pytest.raises(WeightsError, match="damaged or cannot be read"):
        network.tensors[0].kernel.read()


def differs(forward, network, pixels, answers):
    return np.abs(forward(network, pixels) - answers).max() > 100 * TOLERANCE


def test_comparison_sees_a_wrong_reading(read, forward):
    network, _, pixels, answers = read(CASES["namesakes"])
    first, second, third, fourth, head = network.tensors
    wrong = [
        replace(network, tensors=(first, third, second, fourth, head)),
        replace(network, tensors=(replace(first, bias=second.bias), second, third, fourth, head)),
        replace(network, preprocessing=Preprocessing((1,) * 3, (0,) * 3, (2, 1, 0))),
        replace(network, preprocessing=Preprocessing((1,) * 3, (0.01,) * 3)),
        replace(network, head_activation="sigmoid"),
    ]
    assert not differs(forward, network, pixels, answers)
    assert all(differs(forward, other, pixels, answers) for other in wrong)


@pytest.mark.parametrize("case", ["batch norm", "batch norm of vectors", "batch norm twice"])
def test_comparison_sees_a_wrong_fold(read, forward, monkeypatch, case):
    right = affine.folded_bias
    monkeypatch.setattr(
        "vggexport.weights.keras.network.folded_bias",
        lambda kernel, bias, before, after: right(kernel, bias, before, None),
    )
    network, _, pixels, answers = read(CASES[case])
    assert differs(forward, network, pixels, answers)
