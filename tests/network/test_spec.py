"""The walk over table 1 against the paper's own numbers."""

import json
from dataclasses import replace

import pytest

from vggexport.errors import InputError
from vggexport.network.head import FullyConnected, HeadActivation, Pooling
from vggexport.network.layers import LayerKind
from vggexport.network.spec import MEAN_RGB, VGGSpec
from vggexport.network.table import parse_blocks

PARAMETERS = {
    "A": 132_863_336,
    "B": 133_047_848,
    "C": 133_638_952,
    "D": 138_357_544,
    "E": 143_667_240,
}
MILLIONS_OF_TABLE_2 = {"A": 133, "B": 133, "C": 134, "D": 138, "E": 144}
WEIGHT_LAYERS = {"A": 11, "B": 13, "C": 16, "D": 16, "E": 19}  # first line of table 1
RECEPTIVE_FIELDS_OF_D = [
    *(3, 5, 6),
    *(10, 14, 16),
    *(24, 32, 40, 44),
    *(60, 76, 92, 100),
    *(132, 164, 196, 212),
]
LAYERS_OF_D = """
mean_subtraction 224x224x3
block1_conv1 224x224x64
block1_conv2 224x224x64
block1_pool 112x112x64
block2_conv1 112x112x128
block2_conv2 112x112x128
block2_pool 56x56x128
block3_conv1 56x56x256
block3_conv2 56x56x256
block3_conv3 56x56x256
block3_pool 28x28x256
block4_conv1 28x28x512
block4_conv2 28x28x512
block4_conv3 28x28x512
block4_pool 14x14x512
block5_conv1 14x14x512
block5_conv2 14x14x512
block5_conv3 14x14x512
block5_pool 7x7x512
flatten 25088
fc1 4096
fc2 4096
predictions 1000
probabilities 1000
"""


@pytest.mark.parametrize("configuration", PARAMETERS)
def test_parameters_are_those_of_table_2(configuration):
    spec = VGGSpec.named(configuration)
    assert spec.parameters == PARAMETERS[configuration]
    assert round(spec.parameters / 1e6) == MILLIONS_OF_TABLE_2[configuration]
    assert sum(tensor.size for tensor in spec.tensors.values()) == spec.parameters


@pytest.mark.parametrize("configuration", WEIGHT_LAYERS)
def test_weight_layers_are_as_many_as_table_1_says(configuration):
    assert len(VGGSpec.named(configuration).weighted_layers) == WEIGHT_LAYERS[configuration]


def test_names_and_output_shapes_of_d():
    layers = VGGSpec.named("D").layers
    found = [f"{layer.name} {'x'.join(map(str, layer.output_shape))}" for layer in layers]
    assert found == LAYERS_OF_D.split("\n")[1:-1]


def test_receptive_fields_of_d():
    layers = VGGSpec.named("D").layers
    fields = [layer.receptive_field for layer in layers if layer.kernel_size]
    assert fields == RECEPTIVE_FIELDS_OF_D
    assert {layer.receptive_field for layer in layers if not layer.kernel_size} == {None}


def test_multiply_accumulates_of_d():
    spec = VGGSpec.named("D")
    assert f"{spec.macs / 1e9:.2f}" == "15.47"
    # Output positions x window x channels in x channels out, written out for one layer of each kind
    assert spec.layer("block3_conv1").macs == 56 * 56 * 9 * 128 * 256
    assert spec.layer("fc1").macs == 25088 * 4096
    assert spec.layer("block3_pool").macs == 0


def test_kernels_of_d_are_hwio_and_biases_have_an_output_each():
    tensors = VGGSpec.named("D").tensors
    assert list(tensors)[:4] == [
        "block1_conv1/kernel",
        "block1_conv1/bias",
        "block1_conv2/kernel",
        "block1_conv2/bias",
    ]
    assert tensors["block1_conv1/kernel"].shape == (3, 3, 3, 64)
    assert tensors["block4_conv1/kernel"].shape == (3, 3, 256, 512)
    assert tensors["block4_conv1/bias"].shape == (512,)
    assert tensors["fc1/kernel"].shape == (25088, 4096)
    assert tensors["predictions/kernel"].shape == (4096, 1000)
    assert tensors["predictions/bias"].shape == (1000,)


def test_c_has_1x1_convolutions_where_d_has_its_third_3x3():
    c, d = VGGSpec.named("C"), VGGSpec.named("D")
    ones = [layer.name for layer in c.layers if layer.kernel_size == 1]
    assert ones == ["block3_conv3", "block4_conv3", "block5_conv3"]
    assert c.layer("block3_conv3").kernel.shape == (1, 1, 256, 256)
    assert c.layer("block3_conv3").receptive_field == c.layer("block3_conv2").receptive_field
    assert [layer.name for layer in c.layers] == [layer.name for layer in d.layers]


def test_sizes_can_be_chosen():
    spec = VGGSpec.named("A", classes=12, fc_units=(256, 256), input_size=(32, 32))
    assert spec.layer("flatten").output_shape == (512,)
    assert spec.layer("fc1").kernel.shape == (512, 256)
    assert spec.layer("fc2").kernel.shape == (256, 256)
    assert spec.layer("predictions").kernel.shape == (256, 12)
    assert spec.layer("probabilities").output_shape == (12,)


def test_pooling_drops_an_odd_row():
    spec = VGGSpec.named("A", input_size=(63, 63))
    pools = [layer for layer in spec.layers if layer.kind is LayerKind.MAX_POOLING]
    assert [pool.output_shape[0] for pool in pools] == [31, 15, 7, 3, 1]


def test_the_mean_is_the_papers():
    assert VGGSpec.named("D").mean_rgb == MEAN_RGB == (123.68, 116.779, 103.939)


@pytest.mark.parametrize("configuration", PARAMETERS)
def test_json_gives_the_same_network_again(configuration):
    spec = VGGSpec.named(configuration, classes=7, fc_units=(8, 8), input_size=(96, 96))
    spec = replace(spec, mean_rgb=(123.675, 116.28, 103.53))
    again = VGGSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert again.mean_rgb == (123.675, 116.28, 103.53)
    assert again.layers == spec.layers


def test_json_names_blocks_in_the_papers_notation(tiny):
    assert tiny.to_json()["blocks"] == [["conv3-4", "conv1-6"], ["conv3-8"]]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"input_size": (31, 31)}, "input size 31 is too small: 5 poolings need at least 32"),
        ({"classes": 1}, "1 class: a softmax needs at least 2"),
        ({"fc_units": (4, 0)}, "0 fully connected units: at least 1"),
    ],
)
def test_a_size_out_of_range_is_refused(sizes, message):
    with pytest.raises(InputError, match=message):
        VGGSpec.named("D", **sizes)


def test_the_smallest_sizes_are_accepted():
    spec = VGGSpec.named("D", input_size=(32, 32), classes=2, fc_units=(1, 1))
    assert spec.layer("block5_pool").output_shape == (1, 1, 512)


def test_an_unknown_configuration_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"'F' is not in table 1: choose from A, B, C, D, E"):
        VGGSpec.named("F")


@pytest.mark.parametrize(
    "text", ["conv", "conv3", "conv3-", "conv-64", "conv3-x", "maxpool", "3-4"]
)
def test_a_malformed_convolution_is_refused(text):
    with pytest.raises(InputError, match=f"layer '{text}' is not of the form conv3-64"):
        parse_blocks(f"conv3-4 {text}")


@pytest.mark.parametrize("text", ["conv2-4", "conv3-0"])
def test_an_even_kernel_and_no_filters_are_refused(text):
    with pytest.raises(InputError, match="needs an odd kernel and at least one filter"):
        parse_blocks(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("blocks", None),
        ("blocks", [["conv3"]]),
        ("blocks", [[3]]),
        ("classes", "many"),
        ("input_size", None),
        ("mean_rgb", [1.0, 2.0]),
        ("mean_rgb", "abc"),
    ],
)
def test_a_description_with_a_wrong_value_is_refused(tiny, key, value):
    with pytest.raises(InputError):
        VGGSpec.from_json(tiny.to_json() | {key: value})


LATER_KEYS = {"hidden_relu", "last_pooling", "pooling", "head_activation"}


def test_a_description_of_version_0_1_0_is_of_a_network_like_the_papers(tiny):
    told = {key: value for key, value in tiny.to_json().items() if key not in LATER_KEYS}
    assert VGGSpec.from_json(told) == tiny
    assert {key: tiny.to_json()[key] for key in LATER_KEYS} == {
        "hidden_relu": [True, True],
        "last_pooling": True,
        "pooling": "flatten",
        "head_activation": "softmax",
    }


def test_a_description_that_lacks_a_key_is_refused(tiny):
    for key in tiny.to_json().keys() - LATER_KEYS:
        rest = {name: value for name, value in tiny.to_json().items() if name != key}
        with pytest.raises(InputError, match=key):
            VGGSpec.from_json(rest)


def test_an_unknown_layer_is_a_key_error(tiny):
    with pytest.raises(KeyError):
        tiny.layer("block9_conv1")


VARIED = VGGSpec(
    "varied",
    parse_blocks("conv3-4 | conv3-8 conv1-6"),
    classes=1,
    hidden=(FullyConnected(7), FullyConnected(5, relu=False), FullyConnected(5)),
    input_size=(9, 14),
    last_pooling=False,
    pooling=Pooling.AVERAGE,
    head_activation=HeadActivation.SIGMOID,
)


def test_a_network_of_ones_own_layer_by_layer():
    found = [f"{layer.name} {'x'.join(map(str, layer.output_shape))}" for layer in VARIED.layers]
    assert found == [
        "mean_subtraction 9x14x3",
        "block1_conv1 9x14x4",
        "block1_pool 4x7x4",
        "block2_conv1 4x7x8",
        "block2_conv2 4x7x6",
        "global_average_pool 6",
        "fc1 7",
        "fc2 5",
        "fc3 5",
        "predictions 1",
        "probabilities 1",
    ]
    relus = {layer.name for layer in VARIED.layers if layer.relu}
    assert relus == {"block1_conv1", "block2_conv1", "block2_conv2", "fc1", "fc3"}
    assert VARIED.macs == 9 * 14 * 9 * 3 * 4 + 28 * (9 * 4 * 8 + 8 * 6) + 6 * 7 + 7 * 5 + 25 + 5


def test_its_description_says_all_of_it():
    told = json.loads(json.dumps(VARIED.to_json()))
    assert VGGSpec.from_json(told) == VARIED
    assert (told["fc_units"], told["input_size"]) == ([7, 5, 5], [9, 14])
    assert (told["hidden_relu"], told["last_pooling"]) == ([True, False, True], False)
    assert VGGSpec.from_json(told | {"fc_units": [], "hidden_relu": []}).hidden == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_relu", [True]), ("pooling", "mean"), ("head_activation", "tanh"), ("fc_units", [7])],
)
def test_a_wrong_value_in_it_is_refused(key, value):
    with pytest.raises(InputError):
        VGGSpec.from_json(VARIED.to_json() | {key: value})


def test_the_range_of_an_input_is_that_of_the_last_layer_that_computes():
    assert VARIED.scaled_by(VARIED.layer("block2_conv1")) == "block1_conv1"
    assert VARIED.scaled_by(VARIED.layer("fc1")) == "global_average_pool"
    most = replace(VARIED, pooling=Pooling.MAX)
    assert most.scaled_by(most.layer("fc1")) == "block2_conv2"


@pytest.mark.parametrize("activation", HeadActivation)
def test_a_softmax_needs_two_outputs_and_a_sigmoid_one(activation):
    replace(VARIED, classes=2, head_activation=activation)
    if activation is HeadActivation.SOFTMAX:
        with pytest.raises(InputError, match="1 class: a softmax needs at least 2"):
            replace(VARIED, head_activation=activation)
