"""Descriptions changed at random: one line, or the network that Keras itself makes of them."""

import copy
import json
import random
import zipfile
from functools import cache

import keras
import numpy as np
import pytest
from keras import layers

from vggexport.errors import WeightsError
from vggexport.weights.keras import hdf5
from vggexport.weights.keras.network import read_network

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras under numpy 2

SHAPE = (12, 8, 3)
VALUES = [
    *(None, True, False, 0, 1, 2, 3, -1, 4, 10**30, 0.5, 1e-3, "", "same", "valid", "relu", "tanh"),
    *("linear", "softmax", "Conv2D", "float16", [], [3, 3], [2, 2], [None, 12, 8, 3], {}, [[]]),
    *("Dropout", "Activation", [["a", 0, 0]], {"class_name": "__numpy__"}, {"config": {}}),
]


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    """The file of a network with most of what is known, by the names of its members."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input(SHAPE)
    x = layers.Rescaling(1 / 64, offset=-1)(inputs[..., ::-1] * 0.5)
    base = keras.Sequential(
        [
            *(keras.Input(SHAPE), layers.RandomFlip(), layers.ZeroPadding2D(1)),
            *(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
        ]
    )
    x = layers.Flatten()(base(x))
    x = layers.Dropout(0.5)(layers.Dense(5, activation="relu")(x))
    model = keras.Model(inputs, layers.Softmax()(layers.Dense(3)(x)))
    path = tmp_path_factory.mktemp("mutations") / "model.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(autouse=True)
def weights_of_the_owner(monkeypatch):
    """They are the same in every file: what they are is not asked of each anew."""
    monkeypatch.setattr("vggexport.weights.keras.tensors.check_inside", lambda *_: None)
    monkeypatch.setattr("vggexport.weights.keras.hdf5._read", cache(hdf5._read))


def places(value, path=()):
    """Every place in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from places(part, (*path, key))


@cache
def places_in(text):
    """The same of a text, looked up once."""
    return list(places(json.loads(text)))


def mutate(text, chance):
    """One value replaced, removed, doubled or exchanged with its neighbour."""
    changed = json.loads(text)
    *path, key = chance.choice(places_in(text))
    holder = changed
    for step in path:
        holder = holder[step]
    match chance.randrange(4):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case 2 if isinstance(holder, list):
            holder.insert(0, holder.pop(key))
        case _:
            near = list(holder.values()) if isinstance(holder, dict) else holder
            holder[key] = copy.deepcopy(chance.choice([*VALUES, *near]))
    return json.dumps(changed)


def rewrite(owner, path, text):
    path.unlink(missing_ok=True)  # where a file is cut to nothing, ext4 waits for the disk
    with zipfile.ZipFile(path, "w") as target:
        for name, content in (owner | {"config.json": text}).items():
            target.writestr(name, content)


def read_or_none(path):
    try:
        return read_network(path)
    except WeightsError as error:
        if "\n" in str(error):
            raise
        return None


def keras_answers(path, images):
    """None where Keras makes nothing of the file."""
    try:
        return np.asarray(keras.models.load_model(path, compile=False)(images, training=False))
    except Exception:  # noqa: BLE001  whatever Keras says of what it cannot read
        return None


def test_one_line_or_right(owner, tmp_path, forward, by_layers, images):
    """Every tenth that is read is held to Keras."""
    path = tmp_path / "mutated.keras"
    chance = random.Random(14)
    text = owner["config.json"].decode()
    read = compared = 0
    for number in range(1000):
        rewrite(owner, path, mutate(text, chance))
        network = read_or_none(path)
        if network is None:
            continue
        read += 1
        answers = keras_answers(path, images[:2]) if read % 10 == 0 else None
        if answers is not None:
            compared += 1
            difference = np.abs(forward(network, images[:2]) - answers).max()
            assert difference < 2e-6, f"mutation {number}"
            reference = by_layers(path, images[:2], network.head_activation)
            assert np.abs(reference - answers).max() < 2e-6, f"mutation {number}"
    assert 200 < read < 800
    assert compared > 20


def test_text_changed_anywhere(owner, tmp_path):
    """Single characters, which mostly leave no JSON, or names and settings without effect."""
    path = tmp_path / "mutated.keras"
    chance = random.Random(15)
    text = json.dumps(json.loads(owner["config.json"]))
    refused = 0
    for _ in range(1000):
        place = chance.randrange(len(text))
        rewrite(owner, path, text[:place] + chance.choice('0"[{,x-') + text[place + 1 :])
        refused += read_or_none(path) is None
    assert 200 < refused < 1000
