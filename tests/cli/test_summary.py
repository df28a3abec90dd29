"""``vggexport summary``."""

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
