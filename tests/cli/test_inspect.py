"""``vggexport inspect``."""

import shutil

import onnx
import pytest
from onnx import TensorProto, helper

import calibration

CONTRACT = {
    *("schema", "artifact", "inputs", "outputs", "operators", "float_islands", "parameters"),
    "size_bytes",
}
PARAMETERS = 9_220_480 + (512 * 16 + 16) + (16 * 16 + 16) + (16 * 5 + 5)
"""Convolutions of configuration A (torchvision's vgg11.features), then fc1, fc2, predictions."""


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_the_json_has_the_keys_of_the_contract(run, built, precision):
    build = built[precision]
    outcome = run("inspect", build.output, "--json")
    document = outcome.json
    assert (outcome.code, outcome.stderr) == (0, "")
    assert document.keys() >= CONTRACT
    assert document["schema"] == 1
    assert document["artifact"] == build.outcome.json["artifact"]
    assert document["size_bytes"] == build.output.stat().st_size
    assert document["parameters"] == PARAMETERS
    for operator in document["operators"]:
        assert operator.keys() >= {"name", "type", "inputs", "outputs", "weights_dtype"}


def test_int8_is_proven(run, built):
    outcome = run("inspect", built["int8"].output, "--require", "int8", "--json")
    operators = outcome.json["operators"]
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.json["float_islands"] == []
    weighted = [o for o in operators if o["weights_dtype"] is not None]
    assert [o["type"] for o in weighted] == ["QLinearConv"] * 8 + ["QGemm"] * 3
    assert {o["weights_dtype"] for o in weighted} == {"int8"}


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_float_file_is_not_int8(run, built, precision):
    outcome = run("inspect", built[precision].output, "--require", "int8", "--json")
    assert outcome.code == 1
    assert "block1_conv1" in outcome.error
    assert f"vgg_{precision}.onnx is not int8 throughout" in outcome.error
    assert "block1_conv1" in outcome.json["float_islands"]


def test_the_text(run, built):
    outcome = run("inspect", built["int8"].output)
    lines = [line.split() for line in outcome.stdout.splitlines()]
    assert ["float", "islands", "none"] in lines
    assert ["parameters", f"{PARAMETERS:,}"] in lines
    assert ["input", "images", "float32", "batchx32x32x3"] in lines
    method = calibration.DEFAULT_METHOD
    assert ["calibration", "8", "images", "of", "synthetic,", method] in lines
    assert ["block1_conv1", "QLinearConv", "uint8", "int8", "uint8"] in lines


def save(path, nodes, inputs=(1, 2)):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "foreign",
        [value("x", TensorProto.FLOAT, inputs)],
        [value("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def test_a_foreign_model_has_no_artifact(run, workplace):
    save(workplace / "foreign.onnx", [helper.make_node("Relu", ["x"], ["y"], "relu")])
    outcome = run("inspect", "foreign.onnx", "--json")
    assert outcome.code == 0
    assert outcome.json["artifact"] is None
    assert [o["type"] for o in outcome.json["operators"]] == ["Relu"]
    assert run("inspect", "foreign.onnx", "--require", "int8").code == 1


def test_names_in_a_foreign_model_are_shown_as_they_are(run, workplace):
    """Square brackets are markup to Rich."""
    save(workplace / "foreign.onnx", [helper.make_node("Relu", ["x"], ["y"], "a[/b]")])
    outcome = run("inspect", "foreign.onnx")
    assert outcome.code == 0, outcome.stderr
    assert [line.split()[0] for line in outcome.stdout.splitlines()][1] == "a[/b]"


def test_a_foreign_model_with_an_operator_without_inputs(run, workplace):
    nodes = [
        helper.make_node("RandomUniform", [], ["r"], "noise", shape=[1, 2]),
        helper.make_node("Add", ["x", "r"], ["y"], "add"),
    ]
    save(workplace / "foreign.onnx", nodes)
    outcome = run("inspect", "foreign.onnx", "--json")
    assert outcome.code == 0, outcome.stderr
    assert [o["type"] for o in outcome.json["operators"]] == ["RandomUniform", "Add"]
    assert run("inspect", "foreign.onnx").code == 0


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (0, "is empty: not a readable ONNX model"),
        *((cut, "is not a") for cut in (10, 200, 100_000, -1)),
    ],
)
def test_a_truncated_file(run, built, workplace, cut, said):
    (workplace / "cut.onnx").write_bytes(built["int8"].output.read_bytes()[:cut])
    outcome = run("inspect", "cut.onnx", "--json")
    assert outcome.code == 2
    assert outcome.error.startswith(f"Error: cut.onnx {said}")
    assert outcome.stdout == ""


def test_a_text_file_named_onnx(run, workplace):
    (workplace / "text.onnx").write_text("<html>not found</html>")
    outcome = run("inspect", "text.onnx")
    assert outcome.code == 2
    assert "text.onnx is not a" in outcome.error


def test_a_missing_file(run):
    outcome = run("inspect", "none.onnx")
    assert outcome.code == 2
    assert "none.onnx does not exist" in outcome.error


def test_a_directory(run, workplace):
    (workplace / "folder.onnx").mkdir()
    outcome = run("inspect", "folder.onnx")
    assert outcome.code == 2
    assert "folder.onnx" in outcome.error


def test_an_unknown_suffix(run, built, workplace):
    shutil.copy(built["int8"].output, workplace / "model.bin")
    outcome = run("inspect", "model.bin")
    assert outcome.code == 2
    assert ".onnx" in outcome.error


def test_damaged_metadata(run, built, workplace):
    content = built["int8"].output.read_bytes()
    damaged = content.replace(b'"precision": "int8"', b'"precision": "int9"')
    assert damaged != content
    (workplace / "damaged.onnx").write_bytes(damaged)
    outcome = run("inspect", "damaged.onnx")
    assert outcome.code == 2
    assert "damaged.onnx" in outcome.error


def test_a_description_of_other_bytes_is_told(run, built, tmp_path):
    path = tmp_path / "vgg.onnx"
    shutil.copyfile(built["float32"].output, path)
    beside = tmp_path / "vgg.onnx.json"
    beside.write_text(f'{{"sha256": "{"ab" * 32}"}}')
    outcome = run("inspect", path)
    assert outcome.code == 0
    assert outcome.stderr.splitlines() == [
        f"note: {path} is not the file that {beside} describes: export it again, which writes both"
    ]
