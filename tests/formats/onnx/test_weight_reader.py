"""ONNX files whose weights are others than their names say, and files that are broken."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from vggexport.errors import ArtifactError
from vggexport.formats.model_weights import MEAN_NAME
from vggexport.formats.onnx.mapped_file import OnnxFile
from vggexport.formats.onnx.weight_reader import OnnxWeights


@pytest.fixture
def edited(tmp_path):
    """(path, edit) -> the weights of the file after ``edit(graph)``."""

    def write(path, edit):
        model = onnx.load(path)
        edit(model.graph)
        (tmp_path / "edited.onnx").write_bytes(model.SerializeToString())
        return OnnxWeights(tmp_path / "edited.onnx")

    return write


def node_of(graph, name):
    return next(node for node in graph.node if node.name == name)


def initializer_of(graph, name):
    return next(tensor for tensor in graph.initializer if tensor.name == name)


def replace_values(graph, name, change):
    tensor = initializer_of(graph, name)
    array = change(numpy_helper.to_array(tensor).copy())
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), name))


def first_bit_flipped(array):
    array.reshape(-1).view(np.uint8)[0] ^= 1
    return array


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int8-w4"])
@pytest.mark.parametrize("name", ["block1_conv2/kernel", "fc1/kernel", "fc2/bias"])
def test_a_changed_value_is_seen_in_that_tensor_alone(export, edited, differing, precision, name):
    path = export(precision)
    weights = edited(path, lambda graph: replace_values(graph, name, first_bit_flipped))
    original = OnnxWeights(path)
    assert differing(weights, original) == [name]
    assert np.count_nonzero(weights[name] != original[name]) == 1


def test_a_changed_scale_is_seen_in_its_channel(export, edited, differing):
    path, name = export("int8"), "block2_conv1/kernel"
    weights = edited(path, lambda graph: replace_values(graph, f"{name}/scales", np.negative))
    assert differing(weights, OnnxWeights(path)) == [name]
    assert (weights[name] == -OnnxWeights(path)[name]).all()


def test_a_changed_mean(export, edited, differing):
    path = export("float32")
    weights = edited(path, lambda graph: replace_values(graph, MEAN_NAME, np.flip))
    assert differing(weights, OnnxWeights(path)) == [MEAN_NAME]


def exchange_inputs(graph, twins):
    one, other = (node_of(graph, name) for name in twins)
    for position in (1, 2):
        mine, yours = one.input[position], other.input[position]
        one.input[position], other.input[position] = yours, mine


def exchange_names(graph, twins):
    for tensor in ("kernel", "bias"):
        one, other = (initializer_of(graph, f"{name}/{tensor}") for name in twins)
        one.name, other.name = other.name, one.name


@pytest.mark.parametrize("exchange", [exchange_inputs, exchange_names])
def test_exchanged_layers(twin_file, twins, edited, exchanged_weights, differing, exchange):
    weights = edited(twin_file("onnx"), lambda graph: exchange(graph, twins))
    assert not differing(weights, exchanged_weights)


def test_a_transposed_matrix_is_turned_as_its_operator_says(export, edited, differing):
    def transpose(graph):
        replace_values(graph, "fc2/kernel", np.transpose)
        node_of(graph, "fc2").attribute.append(helper.make_attribute("transB", 1))

    path = export("float32")
    assert not differing(edited(path, transpose), OnnxWeights(path))


@pytest.mark.parametrize("precision", ["float32", "int8", "int8-w4"])
def test_rows_in_the_order_in_which_the_features_reach_them(
    export, tiny, edited, differing, precision
):
    """Turning the features, or no longer turning them, turns the first kernel and no other."""

    def turn(graph):
        flatten = node_of(graph, "flatten")
        source = next(node for node in graph.node if flatten.input[0] in node.output)
        if source.op_type == "Transpose":
            flatten.input[0] = source.input[0]
        else:
            turned = helper.make_node(
                "Transpose", [flatten.input[0]], ["turned"], perm=[0, 2, 3, 1]
            )
            flatten.input[0] = "turned"
            graph.node.insert(0, turned)

    original = OnnxWeights(export(precision))
    weights = edited(export(precision), turn)
    assert differing(weights, original) == ["fc1/kernel"]
    side, _, channels = tiny.layer("block2_pool").output_shape
    from_chw, from_hwc = weights["fc1/kernel"], original["fc1/kernel"]
    if precision != "int8-w4":
        from_chw, from_hwc = from_hwc, from_chw
    features = from_hwc.reshape(channels, side, side, -1)  # as CHW, which the file has
    assert (from_chw.reshape(side, side, channels, -1) == features.transpose(1, 2, 0, 3)).all()


def test_values_in_fields_instead_of_bytes(export, edited, differing):
    def unpack(graph):
        for tensor in graph.initializer:
            values = numpy_helper.to_array(tensor).reshape(-1).tolist()
            tensor.CopyFrom(helper.make_tensor(tensor.name, tensor.data_type, tensor.dims, values))
            assert not tensor.raw_data

    path = export("float32")
    assert not differing(edited(path, unpack), OnnxWeights(path))


def test_messages_that_come_twice_are_merged(export, copied, differing):
    path = export("float32")
    copy = copied(path)
    stale = numpy_helper.from_array(np.zeros(64, np.float32), "fc2/bias")
    with copy.open("ab") as file:
        file.write(onnx.ModelProto(graph=onnx.GraphProto(initializer=[stale])).SerializeToString())
    assert differing(OnnxWeights(copy), OnnxWeights(path)) == ["fc2/bias"]


def test_no_weight_is_parsed(export):
    file = OnnxFile(export("float32"))
    assert not file.model.graph.initializer
    assert file.model.ByteSize() < 10_000  # the weights have 55,000 bytes
    assert not file.array("fc1/kernel").flags.owndata
    assert not file.array("fc1/kernel").flags.writeable


@pytest.mark.parametrize(
    ("precision", "operator", "lacks"),
    [
        ("float32", "mean_subtraction", [MEAN_NAME]),
        ("float32", "block1_conv2", ["block1_conv2/kernel", "block1_conv2/bias"]),
        ("int8-w4", "fc1", ["fc1/kernel", "fc1/bias"]),
        ("int8-w4", "fc1/bias", ["fc1/bias"]),
    ],
)
def test_a_missing_operator_is_named_and_the_others_are_read(
    export, edited, tiny, precision, operator, lacks
):
    weights = edited(export(precision), lambda graph: graph.node.remove(node_of(graph, operator)))
    for name in lacks:
        with pytest.raises(ArtifactError, match=rf"edited\.onnx has no operator {operator}:"):
            weights[name]
    for name in weights.names:
        assert name in lacks or weights[name].any()


def another_operator(graph):
    node_of(graph, "block1_conv2").op_type = "ConvTranspose"


def computed_weights(graph):
    node_of(graph, "block1_conv2").input[1] = "block1_pool"


def no_weights(graph):
    graph.initializer.remove(initializer_of(graph, "block1_conv2/kernel"))


def another_shape(graph):
    replace_values(graph, "block1_conv2/kernel", lambda array: array[:-1])


def less_data(graph):
    tensor = initializer_of(graph, "block1_conv2/kernel")
    tensor.raw_data = tensor.raw_data[:-4]


def text(graph):
    tensor = initializer_of(graph, "block1_conv2/kernel")
    tensor.data_type = onnx.TensorProto.STRING


def another_file(graph):
    tensor = initializer_of(graph, "block1_conv2/kernel")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../weights")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (another_operator, "has no operator block1_conv2:"),
        (computed_weights, r"what MaxPool computes"),
        (no_weights, r"no constant"),
        (another_shape, r"block1_conv2/kernel has shape \(1, 1, 4, 5\), expected \(1, 1, 4, 6\)"),
        (less_data, "block1_conv2/kernel is damaged"),
        (text, "block1_conv2/kernel is damaged"),
        (another_file, "values are in another file"),
    ],
)
def test_weights_that_cannot_be_read(export, edited, edit, message):
    weights = edited(export("float32"), edit)
    with pytest.raises(ArtifactError, match=message) as caught:
        weights["block1_conv2/kernel"]
    assert "edited.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert weights["fc1/kernel"].any()


def per_channel_zero_points(graph):
    replace_values(graph, "fc2/kernel/zero_points", first_bit_flipped)


def missing_zero_points(graph):
    node_of(graph, "fc2/kernel/dequantized").input[2] = "nowhere"


def one_scale_too_few(graph):
    replace_values(graph, "fc2/kernel/scales", lambda array: array[:-1])


def its_own_source(graph):
    node = node_of(graph, "fc2/kernel/dequantized")
    node.input[0] = node.output[0]


@pytest.mark.parametrize(
    "edit", [per_channel_zero_points, missing_zero_points, one_scale_too_few, its_own_source]
)
def test_integers_that_cannot_be_read(export, edited, edit):
    weights = edited(export("int8"), edit)
    with pytest.raises(ArtifactError, match=r"edited\.onnx: fc2/kernel is damaged"):
        weights["fc2/kernel"]


def set_attribute(name, value):
    def change(graph):
        node = node_of(graph, "fc2")
        next(entry for entry in node.attribute if entry.name == name).i = value

    return change


def zero_points(graph):
    node_of(graph, "fc2").input.append("fc2/kernel")


@pytest.mark.parametrize(
    "edit",
    [
        set_attribute("bits", 8),
        set_attribute("block_size", 32),
        set_attribute("N", 63),
        zero_points,
    ],
)
def test_blocks_that_cannot_be_read(export, edited, edit):
    weights = edited(export("int8-w4"), edit)
    with pytest.raises(ArtifactError, match=r"edited\.onnx: fc2/kernel is damaged"):
        weights["fc2/kernel"]


def test_an_addition_without_a_bias(export, edited):
    def double(graph):
        node_of(graph, "fc2/bias").input[1] = "fc2/product"

    with pytest.raises(ArtifactError, match=r"edited\.onnx: fc2/bias is damaged"):
        edited(export("int8-w4"), double)["fc2/bias"]


def test_features_that_come_from_themselves(export, edited):
    def circle(graph):
        node_of(graph, "flatten").input[0] = "flatten"

    assert edited(export("float32"), circle)["fc1/kernel"].any()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.1, 0.5, 0.9, 0.99999])
def test_a_file_that_was_cut_off(export, copied, share):
    path = copied(export("float32"))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ArtifactError, match=path.name):
        OnnxWeights(path)


@pytest.mark.parametrize(
    "content", [b"no model at all", b"\x0f", b"\xff" * 11, b"\x08\x08", bytes(100)]
)
def test_no_model(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match="not a readable ONNX model"):
        OnnxWeights(tmp_path / "net.onnx")


def test_a_foreign_model(tmp_path):
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [])
    onnx.save(helper.make_model(graph), tmp_path / "net.onnx")
    with pytest.raises(ArtifactError, match="does not say which network it is"):
        OnnxWeights(tmp_path / "net.onnx")
