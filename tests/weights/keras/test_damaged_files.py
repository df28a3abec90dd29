"""Keras files that are damaged or hold what no network has: each is one line."""

import json
import re
import zipfile
from pathlib import Path

import h5py
import pytest
from keras import layers

from tests.weights.keras.small_networks import network
from vggexport.errors import WeightsError
from vggexport.weights.keras.document import MAX_BYTES, MAX_DEPTH
from vggexport.weights.keras.network import read_network

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras under numpy 2


@pytest.fixture
def saved(tmp_path) -> Path:
    path = tmp_path / "model.keras"
    network().save(path)
    return path


def described(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def rewrite(path: Path, text: str) -> Path:
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", weights)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"class_name": NaN}', "NaN is not a number"),
        ("{}", "damaged .KeyError: 'class_name'"),
        ('{"class_name": "Sequential"}', "damaged .KeyError: 'config'"),
        ('{"class_name": "Functional", "config": {"layers": 3}}', "damaged .TypeError"),
        (" " * (MAX_BYTES + 1), f"longer than {MAX_BYTES}"),
        ("[" * 100_000, "not JSON"),
        ('{"a": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", "of at most 100 levels"),
    ],
)
def test_damaged_description_is_one_line(saved, text, says):
    with pytest.raises(WeightsError, match=says) as error:
        read_network(rewrite(saved, text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("new_option", 3, r"Conv2D, new_option=3\)"),
        ("lora_rank", 4, r"Conv2D, lora_rank=4\)"),
        ("filters", 5, r"has a kernel of shape \(3, 3, 3, 4\), expected \(3, 3, 3, 5\)"),
        ("filters", 10**12, r"Conv2D, filters=1000000000000\)"),
        ("filters", True, r"Conv2D, filters=True\)"),
        ("data_format", "channels_first", r"data_format=channels_first\)"),
        ("use_bias", 1, r"use_bias=1\)"),
        ("use_bias", False, "2 variables for kernel:"),
    ],
)
def test_setting_that_is_not_known(saved, key, value, says):
    document = described(saved)
    document["config"]["layers"][1]["config"][key] = value
    with pytest.raises(WeightsError, match=says):
        read_network(rewrite(saved, json.dumps(document)))


def test_text_from_the_file_stays_on_one_short_line(saved):
    document = described(saved)
    document["config"]["layers"][1] |= {"class_name": "Evil\nclass" + "x" * 5000}
    with pytest.raises(WeightsError, match=r"\(Evil class.*\.\.\.\)") as error:
        read_network(rewrite(saved, json.dumps(document)))
    assert len(str(error.value)) < 1000
    assert "\n" not in str(error.value)


def test_layer_without_its_weights(saved, tmp_path):
    document = described(saved)
    document["config"]["layers"].insert(2, document["config"]["layers"][1])
    text = json.dumps(document)
    with pytest.raises(WeightsError, match="two layers are called"):
        read_network(rewrite(saved, text))
    again = re.sub(r'("name": "conv2d)(_\d+)?"', r'\1_other"', text, count=1)
    with pytest.raises(WeightsError, match="no layers/conv2d_1/vars"):
        read_network(rewrite(saved, again))


def test_values_that_are_not_finite(tmp_path):
    path = tmp_path / "model.keras"
    layer = layers.BatchNormalization()
    model = network(layer, head=[layers.Flatten(), layers.Dense(3)])
    layer.moving_mean.assign([1, float("nan"), 1, 1])
    model.save(path)
    with pytest.raises(WeightsError, match="has a moving_mean that is NaN or infinite"):
        read_network(path)


def test_negative_factor_beside_a_maximum(tmp_path):
    """Behind the maximum the least value would be wanted."""
    path = tmp_path / "model.keras"
    layer = layers.BatchNormalization(name="b")
    model = network(layer, layers.MaxPooling2D(), head=[layers.Flatten(), layers.Dense(3)])
    layer.gamma.assign([1, 1, -1, 1])
    model.save(path)
    with pytest.raises(WeightsError, match=r"'b' \(BatchNormalization, factors that are not"):
        read_network(path)


def test_lambda_in_a_legacy_file(tmp_path):
    path = tmp_path / "model.h5"
    network(front=[layers.Lambda(lambda x: x / 255, name="scale")]).save(path)
    with pytest.raises(WeightsError, match=r"'scale' \(Lambda\)"):
        read_network(path)


def test_link_out_of_the_file(tmp_path):
    path = tmp_path / "model.h5"
    network().save(path)
    with h5py.File(path, "r+") as file:
        file["model_weights/outside"] = h5py.ExternalLink("other.h5", "/x")
    with pytest.raises(WeightsError, match="model_weights/outside is not stored in the file"):
        read_network(path)
