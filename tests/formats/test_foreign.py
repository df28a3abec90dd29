"""Files of other converters: run by their own names, recognized by their shapes, or refused."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tests.foreign_onnx import Style, torch_like
from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError
from vggexport.formats.onnx.inspector import inspect_onnx
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.formats.recognition import Step, StepKind, recognize
from vggexport.formats.tflite import foreign
from vggexport.network.ends import Ends
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.precision import Precision

VGG = CONVENTIONS["vgg"]
STYLES = {
    "plain": Style(),
    "batch norm, logits": Style(batch_norm=True, softmax=False),
    "fixed batch": Style(batch=2, opset=11),
    "float16": Style(half=True),
    "uint8": Style(uint8=True),
}


@pytest.fixture
def written(tiny, tiny_weights, tmp_path):
    """(style, change of the model) -> a file as torch would write it, which wants the mean gone."""

    def write(style=STYLES["plain"], change=lambda _model: None):
        model = torch_like(tiny, tiny_weights, VGG, style)
        change(model)
        path = tmp_path / "net.onnx"
        onnx.save(model, path)
        return path

    return write


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_graph_of_another_converter_is_recognized_and_gives_its_layers(
    written, style, tiny, tiny_weights, images, numpy_network
):
    taken = images[:2] if style.uint8 else images[:2] - np.float32(VGG.mean_rgb)
    expected = numpy_network(tiny, tiny_weights, images[:2])
    limit = 5e-3 if style.half else 1e-5
    with OnnxRunner(written(style)) as runner:
        artifact = runner.artifact
        names = artifact.layer_names
        found = runner.activations(taken, names)
        np.testing.assert_array_equal(runner.prepare(taken).probabilities(), runner.predict(taken))
    assert list(names) == [layer.name for layer in tiny.layers[1:]]
    assert (artifact.spec.blocks, artifact.spec.hidden) == (tiny.blocks, tiny.hidden)
    assert artifact.macs == tiny.macs
    assert artifact.batch == (2 if style.batch == 2 else None)
    assert artifact.precision is (Precision.FLOAT16 if style.half else Precision.FLOAT32)
    for name in names:
        most = limit * np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=most, err_msg=name)


def test_it_is_told_as_foreign_without_spec_and_weights_and_read_back(written, images):
    with OnnxRunner(written(STYLES["batch norm, logits"])) as runner:
        told = json.loads(json.dumps(runner.artifact.to_json()))
        assert (told["foreign"], told["spec"], told["weights"]) == (True, None, None)
        ends = told["ends"]
        assert (ends["input"], ends["layout"], ends["gives_logits"]) == ("input", "NCHW", True)
        read = Artifact.from_json(told)
        assert read.ends == runner.artifact.ends
        assert (read.macs, read.layer_names) == (None, ())
        assert read.identity == runner.artifact.identity


def test_operators_may_stand_in_any_order(written, tiny, images):
    def backwards(model):
        nodes = list(model.graph.node)[::-1]
        del model.graph.node[:]
        model.graph.node.extend(nodes)

    with OnnxRunner(written()) as runner:
        expected = runner.predict(images)
    with OnnxRunner(written(change=backwards)) as runner:
        assert list(runner.artifact.layer_names) == [layer.name for layer in tiny.layers[1:]]
        np.testing.assert_array_equal(runner.predict(images), expected)


def test_an_integer_softmax_gives_probabilities_not_logits(written, images):
    """As ONNX Runtime's quantizer writes it among integer operators."""

    def quantize(model):
        last = model.graph.node[-1]
        assert last.op_type == "Softmax"
        logits, output = last.input[0], last.output[0]
        del model.graph.node[-1]
        zero = helper.make_tensor("zero", TensorProto.UINT8, [], [128])
        scales = ("fine", 0.05), ("256th", 1 / 256)
        model.graph.initializer.append(zero)
        model.graph.initializer.append(helper.make_tensor("none", TensorProto.UINT8, [], [0]))
        for name, scale in scales:
            made = helper.make_tensor(name, TensorProto.FLOAT, [], [scale])
            model.graph.initializer.append(made)
        inner, outer = ["fine", "zero"], ["256th", "none"]
        softmax = {"domain": "com.microsoft", "axis": -1, "opset": 13}
        model.graph.node.extend(
            [
                helper.make_node("QuantizeLinear", [logits, *inner], ["q"]),
                helper.make_node("QLinearSoftmax", ["q", *inner, *outer], ["p"], **softmax),
                helper.make_node("DequantizeLinear", ["p", *outer], [output]),
            ]
        )
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))

    with OnnxRunner(written()) as runner:
        expected = runner.predict(images)
    with OnnxRunner(written(change=quantize)) as runner:
        assert not runner.artifact.ends.gives_logits
        np.testing.assert_allclose(runner.predict(images), expected, atol=0.02)


def test_what_onnx_runtime_saved_for_one_processor_runs(written, tmp_path, images):
    """Its blocked convolutions have kernels in an order of their own, and are not recognized."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "all.onnx"), 3
    onnxruntime.InferenceSession(written(), options, providers=["CPUExecutionProvider"])
    with OnnxRunner(written()) as runner:
        expected = runner.predict(images)
    with OnnxRunner(tmp_path / "all.onnx") as runner:
        np.testing.assert_allclose(runner.predict(images), expected, atol=1e-6)
        assert runner.artifact.layer_names == ()


def several_inputs(model):
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))


def free_size(model):
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


def external(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def external_constant(model):
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))


def declared_bomb(model):
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1 << 20, 1 << 20])


def computed_bomb(model):
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1 << 20, 1 << 20])
    model.graph.initializer.append(shape)
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["filled"]))


def custom(model):
    model.graph.node[1].domain = "com.example"


def branch(model):
    model.graph.node[1].op_type = "If"


def scores_of_every_position(model):
    dim = model.graph.output[0].type.tensor_type.shape.dim.add()
    dim.dim_value = 7


REFUSED = {
    several_inputs: r"2 inputs \(input, mask\): expected one",
    free_size: r"\(\?, 3, \?, 16\), of free size",
    external: "external data",
    external_constant: "external data",
    declared_bomb: r"1,099,511,627,776|4,398,046,511,104",
    computed_bomb: r"filled has 1,099,511,627,776 bytes|filled has 4,398",
    custom: r"custom operator com\.example\.",
    branch: "operator If: expected no branches",
    scores_of_every_position: r"expected \(batch, classes\)|shapes do not fit",
}


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
def test_what_is_no_classifier_of_images_is_refused_in_one_line(written, change):
    with pytest.raises(ArtifactError, match=REFUSED[change]) as raised:
        OnnxRunner(written(change=change)).__enter__()
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_inspect_lists_a_file_that_others_refuse_and_says_why(written):
    found = inspect_onnx(written()).to_json()
    assert (found["artifact"], found["foreign"], found["float_islands"]) == (None, True, [])
    assert found["recognized"]["layers"][0] == "block1_conv1"
    found = inspect_onnx(written(change=free_size)).to_json()
    assert Counter(o["type"] for o in found["operators"])["MaxPool"] == 2
    assert "of free size" in found["refusal"]
    assert found["recognized"] is None


@pytest.mark.parametrize(
    ("activation", "precision"),
    [("int16", Precision.INT8), ("int8", Precision.INT8), ("float32", Precision.DYNAMIC_INT8)],
)
def test_tflite_is_dynamic_where_activations_are_floats_alone(activation, precision):
    source = SimpleNamespace(dtype=activation, data=np.empty(0), shape=(1, 4))
    kernel = SimpleNamespace(dtype="int8", data=np.zeros((4, 4)), shape=(4, 4))
    matrix = SimpleNamespace(type="FULLY_CONNECTED", inputs=(0, 1))
    file = SimpleNamespace(tensors=[source, kernel], operators=[matrix])
    assert foreign._precision(file) is precision


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (("FULLY_CONNECTED", "SOFTMAX", "DEQUANTIZE"), True),  # what TFLiteConverter writes
        (("SOFTMAX", "QUANTIZE", "RESHAPE"), True),
        (("FULLY_CONNECTED", "DEQUANTIZE", "SOFTMAX"), False),
        (("SOFTMAX", "RESHAPE"), False),
    ],
)
def test_scores_of_tflite_are_quantized_where_floats_are_made_of_8_bits(types, expected):
    operators = [
        SimpleNamespace(type=kind, inputs=(number,), outputs=(number + 1,))
        for number, kind in enumerate(types)
    ]
    output = SimpleNamespace(index=len(types))
    assert foreign._quantizes(SimpleNamespace(operators=operators, outputs=[output])) is expected


ENDS = Ends("x", "y", (4, 4), 2)
CONV = Step(StepKind.CONVOLUTION, "c", (3, 3, 3, 2), relu=True)
POOL = Step(StepKind.POOL, "p")
HEAD = Step(StepKind.MATRIX, "m", (8, 2))


@pytest.mark.parametrize(
    "steps",
    [
        (CONV, POOL),
        (POOL, CONV, HEAD),
        (CONV, POOL, Step(StepKind.MATRIX, "m", (9, 2))),
        (CONV, POOL, Step(StepKind.MATRIX, "m", (8, 3))),
        (Step(StepKind.CONVOLUTION, "c", (3, 3, 3, 2)), POOL, HEAD),
        (CONV, POOL, Step(StepKind.OTHER, "o"), HEAD),
        (CONV, POOL, Step(StepKind.RELU, "r"), HEAD),
        (Step(StepKind.CONVOLUTION, "c", (2, 2, 3, 2), relu=True), POOL, HEAD),
        (Step(StepKind.CONVOLUTION, "c", (), relu=True), POOL, HEAD),
    ],
)
def test_other_networks_are_not_recognized(steps):
    assert recognize((CONV, POOL, HEAD), ENDS) is not None
    assert recognize(steps, ENDS) is None
