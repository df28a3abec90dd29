"""The traced graph is checked against the spec: whatever differs is refused."""

from dataclasses import replace

import keras
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from vggexport.formats.keras.model import build_architecture
from vggexport.formats.onnx import architecture
from vggexport.formats.onnx.architecture import UnexpectedGraphError, trace
from vggexport.formats.onnx.converter import convert
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks


@pytest.fixture(scope="module")
def converted(tiny) -> onnx.ModelProto:
    return convert(tiny, 17)


@pytest.fixture
def graph(converted) -> onnx.GraphProto:
    """What the converter gave, to be spoilt."""
    copy = onnx.GraphProto()
    copy.CopyFrom(converted.graph)
    return copy


def check(spec: VGGSpec, graph: onnx.GraphProto) -> None:
    layers = list(architecture._match(spec, graph))
    architecture._traced_mean(layers[0], graph, spec)


def nodes(graph: onnx.GraphProto, op_type: str) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type == op_type]


def rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    found = 0
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new
                found += 1
    assert found


def insert(graph: onnx.GraphProto, op_type: str, source: str) -> None:
    """A further operator between ``source`` and whatever reads it."""
    rename(graph, source, "inserted")
    graph.node.append(helper.make_node(op_type, [source], ["inserted"]))


def test_the_unspoilt_graph_matches(tiny, graph):
    check(tiny, graph)


def test_a_missing_relu_is_refused(tiny, graph):
    relu = nodes(graph, "Relu")[1]
    rename(graph, relu.output[0], relu.input[0])
    with pytest.raises(UnexpectedGraphError, match=r"layer block1_conv2: \('Conv', 'Relu'\) expec"):
        check(tiny, graph)


def test_another_activation_is_refused(tiny, graph):
    nodes(graph, "Relu")[-1].op_type = "Sigmoid"
    with pytest.raises(UnexpectedGraphError, match=r"layer fc2: .*'Sigmoid'"):
        check(tiny, graph)


def test_a_further_operator_is_refused(tiny, graph):
    insert(graph, "Abs", nodes(graph, "MaxPool")[0].output[0])
    with pytest.raises(UnexpectedGraphError, match="layer block2_conv1"):
        check(tiny, graph)


def test_an_operator_behind_the_softmax_is_refused(tiny, graph):
    softmax = nodes(graph, "Softmax")[0]
    output = graph.output[0].name
    softmax.output[0] = "before"
    graph.node.append(helper.make_node("Sqrt", ["before"], [output]))
    with pytest.raises(UnexpectedGraphError, match=r"operators after the last layer: \['Sqrt'\]"):
        check(tiny, graph)


@pytest.mark.parametrize(
    ("one", "other", "layer"),
    [
        ("fc1__bias", "fc2__bias", "fc1"),
        ("block1_conv1__kernel", "block1_conv2__kernel", "block1_conv1"),
    ],
)
def test_swapped_weights_are_refused(tiny, graph, one, other, layer):
    names = {value.name.removesuffix(":0"): value.name for value in graph.input}
    rename(graph, names[one], "aside")
    rename(graph, names[other], names[one])
    rename(graph, "aside", names[other])
    with pytest.raises(UnexpectedGraphError, match=f"layer {layer}: weights"):
        check(tiny, graph)


def test_an_operator_that_changes_a_weight_is_refused(tiny, graph):
    kernel = next(value.name for value in graph.input if "block1_conv2__kernel" in value.name)
    insert(graph, "Neg", kernel)
    with pytest.raises(UnexpectedGraphError, match="layer block1_conv2: weights"):
        check(tiny, graph)


def test_a_data_path_that_begins_elsewhere_is_refused(tiny, graph):
    nodes(graph, "Sub")[0].input[0] = "elsewhere"
    with pytest.raises(UnexpectedGraphError, match="begins at 'elsewhere', not at the images"):
        check(tiny, graph)


@pytest.mark.parametrize(
    "mean", [(103.939, 116.779, 123.68), (123.68, 116.779, 103.94), (0.0, 0.0, 0.0)]
)
def test_another_mean_is_refused(tiny, graph, mean):
    name = nodes(graph, "Sub")[0].input[1]
    constant = next(tensor for tensor in graph.initializer if tensor.name == name)
    shape = list(constant.dims)
    constant.CopyFrom(numpy_helper.from_array(np.float32(mean).reshape(shape), name))
    with pytest.raises(UnexpectedGraphError, match=r"was traced, .*123.68.* is the spec's"):
        check(tiny, graph)


@pytest.mark.parametrize(
    "other",
    [
        VGGSpec(
            "more",
            parse_blocks("conv3-4 conv1-6 conv3-8 | conv3-8"),
            5,
            fully_connected(16, 16),
            (16, 16),
        ),
        VGGSpec("fewer", parse_blocks("conv3-4 | conv3-8"), 5, fully_connected(16, 16), (16, 16)),
        VGGSpec(
            "pooled",
            parse_blocks("conv3-4 | conv1-6 | conv3-8"),
            5,
            fully_connected(16, 16),
            (16, 16),
        ),
    ],
    ids=lambda spec: spec.configuration,
)
def test_the_graph_of_another_network_is_refused(graph, other):
    with pytest.raises(UnexpectedGraphError):
        check(other, graph)


def test_trace_refuses_what_does_not_match(tiny, monkeypatch):
    """The check is not beside the way but on it."""
    other = replace(tiny, mean_rgb=(1.0, 2.0, 3.0))
    foreign = convert(other, 17)
    monkeypatch.setattr(architecture, "converted", lambda *_: foreign)
    with pytest.raises(UnexpectedGraphError, match="mean"):
        trace(tiny)


def test_weights_are_inputs_in_onnx_layout_and_no_constants(tiny):
    graph = trace(tiny).graph
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in graph.input
    }
    assert list(shapes) == ["images", *tiny.tensors]
    assert shapes["block1_conv1/kernel"] == (4, 3, 3, 3)
    assert shapes["block1_conv2/kernel"] == (6, 4, 1, 1)
    assert shapes["fc1/kernel"] == (128, 64)
    assert shapes["fc1/bias"] == (64,)
    assert [tensor.name for tensor in graph.initializer] == ["mean_subtraction/mean_rgb"]


def test_the_architecture_of_a_network_of_megabytes_is_kilobytes():
    """Every weight a symbol: nothing of 15 million values is in it."""
    spec = VGGSpec.named("D", fc_units=(256, 256), input_size=(32, 32))
    assert spec.parameters > 15_000_000
    assert trace(spec).ByteSize() < 20_000


@pytest.fixture(params=["mixed_float16", "bfloat16", "float64"])
def _keras_set_to_something_else(request):
    policy, order = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.config.set_dtype_policy(request.param)
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(order)


@pytest.mark.usefixtures("_keras_set_to_something_else")
def test_what_a_program_set_keras_to_changes_nothing(tiny, graph):
    build_architecture.cache_clear()
    found = convert(tiny, 17).graph
    build_architecture.cache_clear()
    check(tiny, found)
    assert [node.op_type for node in found.node] == [node.op_type for node in graph.node]
