"""``vggexport summary``."""

import numpy as np
import pytest

RECEPTIVE_FIELDS = [3, 5, 6, 10, 14, 16, 24, 32, 40, 44, 60, 76, 92, 100, 132, 164, 196, 212]

# Parameters and GMAC of A, B, D, E as torchvision publishes them for vgg11 to vgg19; C is B with
# 256*256 + 2 * 512*512 weights and 1024 + 256 biases more, on 56x56, 28x28 and 14x14 positions.
TOTALS = {
    "A": (132_863_336, 7.61),
    "B": (133_047_848, 11.31),
    "C": (133_638_952, 11.77),
    "D": (138_357_544, 15.47),
    "E": (143_667_240, 19.63),
}


@pytest.mark.parametrize("configuration", TOTALS)
def test_totals_of_every_configuration(run, configuration):
    outcome = run("summary", "--config", configuration, "--json")
    parameters, gmac = TOTALS[configuration]
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.json["schema"] == 1
    assert outcome.json["spec"]["configuration"] == configuration
    assert outcome.json["parameters"] == parameters
    assert round(outcome.json["macs"] / 1e9, 2) == gmac
    layers = outcome.json["layers"]
    assert sum(layer["parameters"] for layer in layers) == parameters
    assert sum(layer["macs"] for layer in layers) == outcome.json["macs"]


def test_the_default_is_vgg_d_with_the_receptive_fields_of_the_paper(run):
    layers = run("summary", "--json").json["layers"]
    fields = [layer["receptive_field"] for layer in layers]
    assert [field for field in fields if field is not None] == RECEPTIVE_FIELDS
    assert set(layers[1]) == {
        *("name", "kind", "kernel_size", "stride", "output_shape", "parameters", "macs"),
        "receptive_field",
    }
    assert layers[1]["output_shape"] == [224, 224, 64]


def test_the_size_options(run):
    options = ("--classes", 10, "--fc-units", 100, "--input-size", 64, "--config", "b")
    document = run("summary", *options, "--json").json
    assert document["spec"]["configuration"] == "B"
    weighted = [layer for layer in document["layers"] if layer["parameters"]]
    assert [layer["parameters"] for layer in weighted[-3:]] == [
        2 * 2 * 512 * 100 + 100,
        100 * 100 + 100,
        100 * 10 + 10,
    ]
    assert document["layers"][0]["output_shape"] == [64, 64, 3]


def test_the_text_names_layers_and_totals(run):
    outcome = run("summary")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "VGG-D: 138,357,544 parameters, 15.47 GMAC" in outcome.stdout
    row = next(line for line in outcome.stdout.splitlines() if line.startswith("block5_conv3"))
    assert row.split() == [
        "block5_conv3",
        "3x3",
        "1",
        "14x14x512",
        "2,359,808",
        "462,422,016",
        "196",
    ]


def test_too_small_an_input(run):
    outcome = run("summary", "--input-size", 31)
    assert outcome.code == 2
    assert "31" in outcome.error
    assert "32" in outcome.error
    assert outcome.stdout == ""


def test_any_network_of_the_kind_is_summarised(run):
    outcome = run(
        "summary", "--json", "--config", "A", "--input-size", "96x150", "--fc-units", "64,16",
        "--pooling", "average", "--head-activation", "sigmoid", "--classes", "1",
    )  # fmt: skip
    spec, layers = outcome.json["spec"], {layer["name"]: layer for layer in outcome.json["layers"]}
    assert (spec["input_size"], spec["fc_units"], spec["classes"]) == ([96, 150], [64, 16], 1)
    assert (spec["pooling"], spec["head_activation"]) == ("average", "sigmoid")
    assert layers["block5_pool"]["output_shape"] == [3, 4, 512]  # 150, 75, 37, 18, 9, 4
    assert layers["block5_pool"]["receptive_field"] == 150
    assert layers["global_average_pool"]["output_shape"] == [512]
    assert layers["fc1"]["macs"] == 512 * 64
    assert layers["fc2"]["parameters"] == 64 * 16 + 16
    assert (layers["predictions"]["macs"], layers["probabilities"]["kind"]) == (16, "sigmoid")
    assert "fc3" not in layers


@pytest.mark.parametrize(
    ("text", "units"), [("256", 256), ("256,", [256]), ("none", []), ("32,8,8", [32, 8, 8])]
)
def test_fc_units_are_two_equal_layers_or_a_list(run, text, units):
    assert run("summary", "--json", "--fc-units", text).json["spec"]["fc_units"] == units


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fc-units", "64,x"), "'64,x' is not of the form 256"),
        (("--fc-units", "0"), "'0' is not of the form 256"),
        (("--input-size", "96x"), "'96x' is neither the side of a square nor HEIGHTxWIDTH"),
        (("--input-size", "1x2x3"), "'1x2x3' is neither"),
        (("--input-size", "31x96"), "input size 31x96 is too small: 5 poolings need at least 32"),
        (("--pooling", "mean"), "'mean' is not one of"),
        (("--classes", "1"), "1 class: a softmax needs at least 2"),
    ],
)
def test_what_is_no_network_is_refused(run, options, message):
    outcome = run("summary", *options)
    assert outcome.code == 2
    assert message in outcome.stderr


def test_weights_tell_their_network_and_what_happens_to_pixels(run, tiny, tiny_arrays):
    np.savez("tiny.npz", **tiny_arrays)
    options = ("--weights", "tiny.npz", *tiny, "--preprocessing", "unit")
    outcome = run("summary", *options)
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.endswith("pixels before the weights' own network: unit, RGB\n")
    document = run("summary", *options, "--json").json
    assert document["preprocessing"]["name"] == "unit"
    assert document["spec"]["classes"] == 5
    assert "preprocessing" not in run("summary", "--json").json
    missing = run("summary", "--weights", "gone.npz")
    assert (missing.code, missing.stdout) == (2, "")
