"""Reading TFLite files, whole, foreign and damaged."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from vggexport.formats.tflite.file_reader import TfliteFile
from vggexport.formats.tflite.inspector import inspect_tflite

PRECISIONS = ["float32", "float16", "dynamic-int8", "int8", "int8-w4"]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """What TensorFlow's own converter makes: a convolution, a ReLU and a product."""
    import tensorflow as tf

    kernel = tf.constant(np.arange(54, dtype=np.float32).reshape(3, 3, 3, 2))
    matrix = tf.constant(np.ones((32, 5), np.float32))
    bias = tf.constant(np.arange(5, dtype=np.float32))

    @tf.function(input_signature=[tf.TensorSpec((1, 4, 4, 3), tf.float32)])
    def network(pixels):
        features = tf.nn.relu(tf.nn.conv2d(pixels, kernel, 1, "SAME"))
        return {"scores": tf.reshape(features, (1, 32)) @ matrix + bias}

    module = tf.Module()
    module.network = network
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [network.get_concrete_function()], module
    )
    path = tmp_path_factory.mktemp("foreign") / "foreign.tflite"
    path.write_bytes(converter.convert())
    return path


def test_the_interface_is_read(export):
    file = TfliteFile(export("float32", "uint8", 2, format="tflite"))
    (images,), (probabilities,) = file.inputs, file.outputs
    assert (images.name, images.dtype, images.shape) == ("images", "uint8", (2, 16, 16, 3))
    assert (probabilities.name, probabilities.dtype) == ("probabilities", "float32")
    assert probabilities.shape == (2, 5)
    assert file.signature == {"images": images, "probabilities": probabilities}


def test_free_sizes_are_minus_one_and_those_of_constants_are_their_own(export):
    tensors = {t.name: t for t in TfliteFile(export(format="tflite")).tensors}
    assert tensors["images"].shape == (-1, 16, 16, 3)
    assert tensors["block1_conv1/kernel"].shape == (4, 3, 3, 3)
    assert tensors["fc2/bias"].shape == (64,)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tensors_are_as_the_interpreter_has_them(export, precision):
    path = export(precision, "float32", 2, format="tflite")
    interpreter = Interpreter(model_path=str(path))
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    file = TfliteFile(path)
    assert [tensor.index for tensor in file.tensors] == list(range(len(file.tensors)))
    for tensor in file.tensors:
        detail = details[tensor.index]
        assert (tensor.name, tensor.shape) == (detail["name"], tuple(detail["shape"]))
        # LiteRT's Python has no int4, and gives the type of what holds it.
        assert tensor.dtype in {np.dtype(detail["dtype"]).name, "int4"}
        quantization = detail["quantization_parameters"]
        if not tensor.block_size:
            np.testing.assert_array_equal(tensor.scales, quantization["scales"])
            np.testing.assert_array_equal(tensor.zero_points, quantization["zero_points"])
            assert tensor.axis == quantization["quantized_dimension"]


def test_constants_have_their_bytes_and_activations_none(export, tiny_weights):
    tensors = {t.name: t for t in TfliteFile(export(format="tflite")).tensors}
    bias = tensors["fc1/bias"].data
    assert bias.dtype == np.uint8
    np.testing.assert_array_equal(bias.view(np.float32), tiny_weights["fc1/bias"])
    assert tensors["fc1"].data.size == tensors["images"].data.size == 0
    assert tensors["flatten/shape"].data.view(np.int32).tolist() == [-1, 128]


def test_blocks_are_seen(export):
    tensors = {t.name: t for t in TfliteFile(export("int8-w4", format="tflite")).tensors}
    assert {t.name for t in tensors.values() if t.block_size} == {
        "fc1/kernel", "fc2/kernel", "predictions/kernel",
    }  # fmt: skip
    kernel = tensors["fc1/kernel"]
    assert (kernel.dtype, kernel.shape, kernel.block_size) == ("int4", (64, 128), 64)
    assert kernel.data.size == 64 * 128 / 2
    assert kernel.block_scales == tensors["fc1/kernel/scales"].index
    assert (tensors["fc1"].block_size, tensors["fc1"].block_scales) == (0, -1)


def test_operators_have_types_versions_and_tensors(export):
    file = TfliteFile(export("int8", format="tflite"))
    names = [tensor.name for tensor in file.tensors]
    (convolution, *_) = (o for o in file.operators if o.type == "CONV_2D")
    assert convolution.version == 3
    assert [names[i] for i in convolution.inputs] == [
        "mean_subtraction/int8", "block1_conv1/kernel", "block1_conv1/bias",
    ]  # fmt: skip
    assert [names[i] for i in convolution.outputs] == ["block1_conv1"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_artifact_is_the_one_that_was_written(export, make_request, precision):
    file = TfliteFile(export(precision, format="tflite"))
    assert file.artifact() == make_request(precision, format="tflite").artifact
    names = {"vggexport.artifact", "TFLITE_METADATA", "min_runtime_version"}
    assert set(file.metadata) == names


def test_a_foreign_file_is_read(foreign):
    file = TfliteFile(foreign)
    assert file.artifact() is None
    assert {t.name for t in file.signature.values()} == {t.name for t in file.inputs + file.outputs}
    assert len(file.signature) == 2
    assert "scores" in file.signature
    assert file.inputs[0].shape == (1, 4, 4, 3)
    assert [operator.type for operator in file.operators] == [
        "CONV_2D", "RESHAPE", "FULLY_CONNECTED",
    ]  # fmt: skip
    kernel = file.tensors[file.operators[0].inputs[1]]
    assert kernel.shape == (2, 3, 3, 3)
    expected = np.einsum("hwio->ohwi", np.arange(54, dtype=np.float32).reshape(3, 3, 3, 2))
    np.testing.assert_array_equal(kernel.data.view(np.float32).reshape(kernel.shape), expected)


def test_a_file_without_a_signature_is_read_by_its_tensors_names(export, edited):
    def without(model):
        model.signatureDefs = None

    file = TfliteFile(edited(export(format="tflite"), without))
    assert list(file.signature) == ["images", "probabilities"]


def test_inputs_that_are_left_out_are_minus_one(export, edited):
    def without_bias(model):
        model.subgraphs[0].operators[1].inputs = [*model.subgraphs[0].operators[1].inputs[:2], -1]

    path = edited(export(format="tflite"), without_bias)
    assert TfliteFile(path).operators[1].inputs[2] == -1
    assert inspect_tflite(path).operators[1].inputs[2] == ""


def test_an_operator_without_tensors_is_read(export, edited):
    """Such as those that set up variables."""

    def add(model):
        operator = schema.OperatorT()
        operator.opcodeIndex = 0
        model.subgraphs[0].operators.append(operator)

    path = edited(export(format="tflite"), add)
    last = TfliteFile(path).operators[-1]
    assert (last.inputs, last.outputs) == ((), ())
    described = inspect_tflite(path).operators[-1]
    assert (described.name, described.weights_dtype) == (described.type, None)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_copy_has_the_outputs_asked_for_and_is_otherwise_the_same(export, tmp_path, count):
    path, copy = export("int8", format="tflite"), tmp_path / "copy.tflite"
    file = TfliteFile(path)
    wanted = [t for t in file.tensors if t.name in {"fc1", "flatten", "block1_pool", "fc2"}]
    wanted = [*file.outputs, *wanted][:count]
    file.write_with_outputs(wanted, copy)
    before, after = path.read_bytes(), copy.read_bytes()
    assert sum(a != b for a, b in zip(before, after, strict=False)) <= 4  # one offset
    assert 0 < len(after) - len(before) <= 4 + 4 + 4 * count
    assert [t.name for t in TfliteFile(copy).outputs] == [t.name for t in wanted]
    interpreter = Interpreter(model_path=str(copy))
    interpreter.allocate_tensors()
    found = [detail["name"] for detail in interpreter.get_output_details()]
    assert found == [tensor.name for tensor in wanted]
    assert path.read_bytes() == before
