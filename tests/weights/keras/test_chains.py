"""Random chains of layers, those that are exported and others: right, or refused by name."""

import os
import random
import re

import keras
import numpy as np
import pytest
from keras import layers

import vggexport
from vggexport.errors import InputError
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.network import NetworkOptions
from vggexport.workflows.build.options import BuildOptions, FileOptions

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras under numpy 2

COUNT = int(os.environ.get("KERAS_CHAINS", "24"))
"""Chains to try; 500 take some minutes."""
MISPLACED = 451
"""Of a nested .h5 file, with a layer that is not exported and has variables."""
SHAPE = (12, 8, 3)
TOLERANCE = 2e-4
REFUSED = r".*layer '\w+' \(\w+.*\) is not part of what vggexport exports: .*"

ANYWHERE = (
    lambda: layers.Activation("elu"),
    layers.BatchNormalization,
    lambda: layers.DepthwiseConv2D(3, padding="same"),
    lambda: layers.Dropout(0.5),
    layers.Flatten,
    layers.LayerNormalization,
    layers.LeakyReLU,
    lambda: layers.MaxPooling2D(2, padding="same"),
    layers.ReLU,
    lambda: layers.ReLU(6.0),
    lambda: layers.Rescaling(-0.5, offset=0.3),
    layers.Softmax,
    layers.UnitNormalization,
    layers.UpSampling2D,
    lambda: layers.ZeroPadding2D(1),
)
"""What may stand at any place, mostly where it is not exported."""


def front(chance):
    return chance.choice(
        [
            [],
            [],
            [layers.Rescaling(2.0, offset=-1.0)],
            [layers.RandomFlip(), layers.Rescaling([0.5, 1.0, 2.0])],
            [layers.Normalization(mean=[0.5, 0.4, 0.3], variance=[0.1, 0.2, 0.3])],
            [layers.Resizing(*SHAPE[:2]), layers.GaussianNoise(0.1)],
            [layers.BatchNormalization()],
        ]
    )


def convolution(chance):
    filters, size = chance.choice([4, 5]), chance.choice([3, 3, 3, 1, 5])
    options = {"use_bias": chance.random() < 0.8}
    match chance.randrange(8):
        case 0:
            members = [layers.Conv2D(filters, size, padding="same", **options)]
            return [*members, layers.BatchNormalization(), layers.ReLU()]
        case 1:
            padded = layers.Conv2D(filters, size, activation="relu", **options)
            return [layers.ZeroPadding2D(size // 2), padded] if size > 1 else [padded]
        case 2 if chance.random() < 0.3:
            options |= chance.choice(
                [{"dilation_rate": 2}, {"strides": 2}, {"padding": "valid"}, {"activation": "tanh"}]
            )
    return [layers.Conv2D(filters, size, **{"padding": "same", "activation": "relu"} | options)]


def block(chance):
    members = [layer for _ in range(chance.choice([1, 2])) for layer in convolution(chance)]
    pools = [[layers.MaxPooling2D()]] * 8 + [[]] * 3 + [[layers.AveragePooling2D(2)]]
    return [*members, *chance.choice(pools)]


def head(chance):
    pools = (layers.Flatten, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
    members = [chance.choice(pools)()]
    for _ in range(chance.randrange(3)):
        activation = chance.choice(["relu"] * 6 + [None, "tanh"])
        members += [layers.Dense(chance.choice([3, 6]), activation), layers.Dropout(0.3)]
        members += chance.choice([[], [], [layers.BatchNormalization()]])
    units = chance.choice([1, 3, 3, 3])
    ends = ["sigmoid", None] if units == 1 else ["softmax", "softmax", "sigmoid", None]
    return [*members, layers.Dense(units, chance.choice(ends))]


def chained(chance):
    """A chain in a model of one of three forms, and whether it ends in logits."""
    blocks = [block(chance) for _ in range(chance.choice([1, 2]))]
    base = [layer for part in blocks for layer in part]
    members = [*front(chance), *base, *head(chance)]
    if chance.random() < 0.3:
        members.insert(chance.randrange(len(members) + 1), chance.choice(ANYWHERE)())
    ends = (keras.activations.softmax, keras.activations.sigmoid)
    logits = not any(
        isinstance(layer, layers.Softmax) or getattr(layer, "activation", None) in ends
        for layer in members
    )
    return model_of(members, chance), logits


def model_of(members, chance):
    cut = chance.randrange(1, len(members))
    match chance.randrange(3):
        case 0:
            return keras.Sequential([keras.Input(SHAPE), *members])
        case 1:
            inner = keras.Sequential([keras.Input(SHAPE), *members[:cut]])
            return keras.Sequential([inner, *members[cut:]])
        case _:
            value = inputs = keras.Input(SHAPE)
            for layer in members:
                value = layer(value)
            return keras.Model(inputs, value)


def any_chain(seed):
    """One that Keras can build, and how its file ends."""
    chance = random.Random(seed)
    while True:
        try:
            return *chained(chance), chance.choice([".keras", ".h5"])
        except ValueError:  # shapes that do not fit
            continue


def probabilities(model, images, *, logits):
    """The answers, with what is added behind logits."""
    answers = model(images, training=False)
    if logits:
        answers = (keras.ops.softmax if answers.shape[1] > 1 else keras.ops.sigmoid)(answers)
    return np.asarray(answers)


def exported(path, file):
    """None where it was, else what was said."""
    network = NetworkOptions(weights=str(path), preprocessing=CONVENTIONS["unit"])
    options = BuildOptions(check=False, force=True)
    try:
        vggexport.build(network, CalibrationOptions(), FileOptions("onnx", file), options)
    except InputError as error:
        return str(error)
    return None


def test_right_or_refused(save, tmp_path):
    right, file = 0, tmp_path / "chain.onnx"
    for seed in (*range(COUNT), MISPLACED):
        chain, logits, suffix = any_chain(seed)
        model, path = save(chain, suffix)
        images = np.random.default_rng(seed).integers(0, 256, (4, *SHAPE), dtype=np.uint8)
        file.unlink(missing_ok=True)
        if (said := exported(path, file)) is not None:
            assert re.fullmatch(REFUSED, said), f"chain {seed}: {said}"
            assert not file.exists()
            continue
        with OnnxRunner(file) as runner:
            actual = runner.predict(images)
        expected = probabilities(model, images.astype(np.float32) / 255, logits=logits)
        assert np.abs(actual - expected).max() <= TOLERANCE, f"chain {seed}"
        right += 1
    assert COUNT / 4 < right < COUNT * 3 / 4
