"""State dicts of torch under the names of the walk: which layer is which, and what is refused."""

import numpy as np
import pytest

from vggexport.errors import WeightsError
from vggexport.network.head import FullyConnected
from vggexport.weights.request import SpecRequest, resolve
from vggexport.weights.stored import StoredTensor
from vggexport.weights.torch_names import torch_network

PLAIN = {"features.0": (4, 3, 3, 3), "features.2": (6, 4, 1, 1), "features.5": (8, 6, 3, 3)}
HEAD = {"classifier.0": (16, 128), "classifier.3": (16, 16), "classifier.6": (5, 16)}
WALK = ["block1_conv1", "block1_conv2", "block2_conv1", "fc1", "fc2", "predictions"]


def state_of(kernels, *without):
    """A kernel and a bias of each module, all values different."""
    random = np.random.default_rng(0)
    state = {}
    for module, shape in kernels.items():
        state[f"{module}.weight"] = random.standard_normal(shape).astype(np.float32)
        state[f"{module}.bias"] = random.standard_normal(shape[0]).astype(np.float32)
    return {name: array for name, array in state.items() if name not in without}


def normalization(module, channels):
    random = np.random.default_rng(1)
    return {
        f"{module}.{role}": random.uniform(0.5, 2, channels).astype(np.float32)
        for role in ("weight", "bias", "running_mean", "running_var")
    }


def opened(state):
    archive = {
        name: StoredTensor(array.shape, lambda array=array: array) for name, array in state.items()
    }
    return torch_network(archive, "vgg.pth")


def layers_of(network):
    """Module of each layer, in order."""
    return {
        ours.partition("/")[0]: theirs.removesuffix(".weight")
        for ours, theirs in network.names.items()
        if theirs.endswith(".weight")
    }


def renamed(state, pairs):
    for old, new in pairs.items():
        state = {name.replace(old, new): array for name, array in state.items()}
    return state


def test_torchvision():
    state = state_of(PLAIN | HEAD)
    network = opened(state)
    assert layers_of(network) == dict(zip(WALK, PLAIN | HEAD, strict=True))
    assert network.channels_first
    assert network.window is None
    tensors = network.tensors
    assert tensors["block1_conv2/kernel"].shape == (1, 1, 4, 6)
    assert tensors["fc1/kernel"].shape == (128, 16)
    np.testing.assert_array_equal(
        tensors["block2_conv1/kernel"].read()[2, 0, 5, 7], state["features.5.weight"][7, 5, 2, 0]
    )
    np.testing.assert_array_equal(tensors["fc2/kernel"].read(), state["classifier.3.weight"].T)
    np.testing.assert_array_equal(tensors["fc2/bias"].read(), state["classifier.3.bias"])
    (note,) = network.notes
    assert "ReLU assumed after classifier.0, classifier.3, and none after classifier.6" in note


@pytest.mark.parametrize(
    ("head", "order"),
    [
        ({"classifier": (5, 128)}, ["classifier"]),
        ({"fc": (5, 128)}, ["fc"]),
        ({"head.fc": (5, 128)}, ["head.fc"]),
        ({"classifier.1": (5, 128)}, ["classifier.1"]),
        ({"classifier.10": (5, 16), "classifier.9": (16, 128)}, ["classifier.9", "classifier.10"]),
        (
            {"classifier.0": (16, 128), "classifier.6.3": (5, 9), "classifier.6.0": (9, 16)},
            ["classifier.0", "classifier.6.0", "classifier.6.3"],
        ),
        ({"fc3": (5, 7), "fc1": (9, 128), "fc2": (7, 9)}, ["fc1", "fc2", "fc3"]),
    ],
)
def test_other_heads(head, order):
    layers = layers_of(opened(state_of(PLAIN | head)))
    assert list(layers.values())[3:] == order
    assert list(layers)[3:] == [*(f"fc{n}" for n in range(1, len(order))), "predictions"]


def test_neighbours_in_a_sequential_have_no_relu_between_them():
    head = {"classifier.0": (16, 128), "classifier.3": (9, 16), "classifier.4": (5, 9)}
    network = opened(state_of(PLAIN | head))
    relu, none = network.notes
    assert network.linear == {"fc2"}
    assert "ReLU assumed after classifier.0, and none after classifier.4" in relu
    assert "no ReLU after classifier.3" in none
    spec = resolve(SpecRequest(), network, "vgg.pth")
    assert spec.hidden == (FullyConnected(16), FullyConnected(9, relu=False))


def test_a_normalization_and_its_relu_have_numbers_of_their_own():
    state = state_of(PLAIN | {"classifier.0": (16, 128), "classifier.2": (5, 16)})
    assert not opened(state).linear
    assert opened(state | normalization("classifier.1", 16)).linear == {"fc1"}


@pytest.mark.parametrize("kind", ["features", "classifier"])
def test_layers_of_no_bias_have_zeros(kind):
    state = state_of(PLAIN | HEAD)
    without = {name for name in state if name.startswith(kind) and name.endswith("bias")}
    network = opened({name: array for name, array in state.items() if name not in without})
    for name, array in network.tensors.items():
        theirs = network.names[name]
        if theirs.endswith("bias"):
            expected = np.zeros(array.shape) if theirs in without else state[theirs]
            np.testing.assert_array_equal(array.read(), expected)
    one = opened({name: array for name, array in state.items() if name != f"{kind}.0.bias"})
    assert len(one.tensors) == len(state) - 1  # of one alone it is damage


def test_the_counter_of_averaged_weights_is_left_out():
    state = {f"module.{name}": array for name, array in state_of(PLAIN | HEAD).items()}
    network = opened({"n_averaged": np.array(7), **state})
    assert list(layers_of(network)) == WALK
    assert "module. before each is left out" in network.notes[0]


def test_no_head_at_all():
    network = opened(state_of(PLAIN))
    assert list(layers_of(network)) == WALK[:3]
    assert network.notes == ()


def test_timm():
    head = {"head.fc": (5, 16), "pre_logits.fc1": (16, 8, 4, 4), "pre_logits.fc2": (16, 16, 1, 1)}
    state = state_of(PLAIN | head)
    network = opened(state)
    assert list(layers_of(network).values())[3:] == ["pre_logits.fc1", "pre_logits.fc2", "head.fc"]
    assert network.window == (4, 4)
    assert network.tensors["fc1/kernel"].shape == (128, 16)
    channel, row, column, unit = 5, 2, 3, 7
    assert (
        network.tensors["fc1/kernel"].read()[channel * 16 + row * 4 + column, unit]
        == state["pre_logits.fc1.weight"][unit, channel, row, column]
    )


def test_a_prefix_is_said_and_its_names_stay_in_messages():
    state = {f"module.{name}": array for name, array in state_of(PLAIN | HEAD).items()}
    network = opened(state)
    assert network.names["fc1/kernel"] == "module.classifier.0.weight"
    assert network.notes[0] == "names: module. before each is left out"


@pytest.mark.parametrize("features", ["backbone.features.", "backbone.", "0."])
def test_a_network_around_convolutions_with_a_head_of_its_own(features):
    state = renamed(state_of(PLAIN | {"fc": (5, 128)}), {"features.": features})
    layers = layers_of(opened(state))
    assert list(layers.values()) == [*(features + n for n in ("0", "2", "5")), "fc"]


def test_one_sequential_of_everything():
    state = state_of({"0": (4, 3, 3, 3), "3": (8, 4, 3, 3), "7": (5, 128)})
    assert layers_of(opened(state)) == {
        "block1_conv1": "0",
        "block2_conv1": "3",
        "predictions": "7",
    }


NORMALIZED = {"features.0": (4, 3, 3, 3), "features.3": (6, 4, 3, 3), "features.7": (8, 6, 3, 3)}


def normalized(*without):
    state = state_of(NORMALIZED | HEAD)
    for module, channels in (("features.1", 4), ("features.4", 6), ("features.8", 8)):
        state |= normalization(module, channels)
    return {name: array for name, array in state.items() if name not in without}


def test_batch_normalizations_are_folded():
    state = normalized()
    state["features.1.num_batches_tracked"] = np.array(7)
    network = opened(state)
    assert list(layers_of(network).values())[:3] == list(NORMALIZED)
    x = np.random.default_rng(2).standard_normal((9 * 4,))
    weight, bias, mean, variance = (
        state[f"features.4.{role}"].astype(np.float64)
        for role in ("weight", "bias", "running_mean", "running_var")
    )
    kernel = state["features.3.weight"].transpose(2, 3, 1, 0).reshape(36, 6).astype(np.float64)
    y = x @ kernel + state["features.3.bias"]
    expected = (y - mean) / np.sqrt(variance + 1e-5) * weight + bias
    actual = x @ network.tensors["block1_conv2/kernel"].read().reshape(36, 6)
    actual = actual + network.tensors["block1_conv2/bias"].read()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert "folded, with torch's default epsilon of 1e-05 assumed" in network.notes[0]


def test_a_folded_convolution_needs_no_bias():
    with_zeros = normalized()
    with_zeros["features.0.bias"] = np.zeros(4, np.float32)
    name = "block1_conv1/bias"
    np.testing.assert_array_equal(
        opened(normalized("features.0.bias")).tensors[name].read(),
        opened(with_zeros).tensors[name].read(),
    )


def test_a_batch_normalization_in_the_head():
    head = {"classifier.0": (16, 128), "classifier.4": (5, 16)}
    state = state_of(PLAIN | head) | normalization("classifier.1", 16)
    assert list(layers_of(opened(state)).values())[3:] == list(head)


REFUSED = {
    "nothing": ({}, "the 3 channels of an image"),
    "grey": (state_of({"features.0": (4, 1, 3, 3)}), "none of features.0.weight, features.0.bias"),
    "two inputs": (
        state_of(PLAIN | {"other.0": (4, 3, 3, 3)}),
        "features.0, other.0 take the 3 channels",
    ),
    "something in front": (
        renamed(state_of(PLAIN | HEAD), {"features.0": "features.1"}),
        "features.1 takes the 3 channels",
    ),
    "gap": (
        state_of(
            {n: s for n, s in PLAIN.items() if n != "features.2"} | {"features.5": (8, 4, 3, 3)}
        ),
        "features.5 comes after features.0, and what lies between is not a ReLU alone",
    ),
    "no relu": (
        renamed(state_of(PLAIN | HEAD), {"features.2": "features.1"}),
        "features.1 comes after features.0",
    ),
    "channels": (
        state_of(PLAIN | {"features.5": (8, 4, 3, 3)}),
        "features.5.weight takes 4 values, and features.2.weight before it gives 6",
    ),
    "units": (
        state_of(PLAIN | HEAD | {"classifier.6": (5, 9)}),
        "classifier.6.weight takes 9 values, and classifier.3.weight before it gives 16",
    ),
    "window in timm's head": (
        state_of(
            PLAIN
            | {
                "pre_logits.fc1": (16, 8, 4, 4),
                "pre_logits.fc2": (16, 16, 3, 3),
                "head.fc": (5, 16),
            }
        ),
        "pre_logits.fc2.weight takes 144 values",
    ),
    "prelu": (
        state_of(PLAIN | HEAD) | {"features.1.weight": np.ones(1, np.float32)},
        "features.1 has a weight of shape (1,)",
    ),
    "lstm": (
        state_of(PLAIN | HEAD) | {"rnn.weight_ih_l0": np.ones((4, 4), np.float32)},
        "rnn.weight_ih_l0 has no place in a VGG",
    ),
    "counters": (
        state_of(PLAIN | HEAD)
        | {name: np.ones(1, np.float32) for name in ("total_ops", "features.0.total_ops")},
        "total_ops, features.0.total_ops have no place in a VGG",
    ),
    "no kernel": (state_of(PLAIN | HEAD, "classifier.3.weight"), "classifier.3.bias has no place"),
    "mean beside it": (
        renamed(state_of(PLAIN | HEAD), {"features": "1.features", "classifier": "1.classifier"})
        | {"0.mean": np.ones(3, np.float32)},
        "0.mean has no place in a VGG",
    ),
    "names of a head": (
        state_of(PLAIN | {"out": (5, 16), "hidden": (16, 128)}),
        "the names out, hidden do not tell which layer comes first",
    ),
    "normalization behind a relu": (
        normalized() | normalization("features.2", 4),
        "features.2 normalizes, and features.1 is not a layer with weights",
    ),
    "normalization in front": (
        state_of(PLAIN | HEAD) | normalization("bn", 3),
        "bn normalizes, and what is before it is not a layer",
    ),
    "no variance": (normalized("features.4.running_var"), "features.4.running_var is not one"),
    "negative variance": (
        normalized() | {"features.4.running_var": -np.ones(6, np.float32)},
        "features.4.running_var has values that are not variances",
    ),
    "channels of a normalization": (
        normalized() | {"features.4.weight": np.ones(5, np.float32)},
        "features.4.weight is not one number for each of 6 channels",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_vgg_is_refused_by_name(case):
    state, named = REFUSED[case]
    with pytest.raises(WeightsError) as caught:
        opened(state)
    assert "vgg.pth" in str(caught.value)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("role", ["features.0.weight", "features.0.bias", "features.1.running_var"])
def test_integers_are_refused_where_something_is_folded_too(role):
    state = state_of({"features.0": (4, 3, 3, 3), "features.4": (6, 4, 3, 3)} | HEAD)
    state |= normalization("features.1", 4)
    state[role] = np.ones(state[role].shape, np.int8)

    def read_all():
        return [tensor.read() for tensor in opened(state).tensors.values()]

    with pytest.raises(WeightsError, match=rf"vgg\.pth: {role} holds int8: store weights as"):
        read_all()
