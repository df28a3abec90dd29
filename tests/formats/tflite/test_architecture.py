"""TFLite graphs: operators, their versions, options, and the types and shapes of tensors."""

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from vggexport.formats.tflite.exporter import build_graph
from vggexport.formats.tflite.file_reader import TfliteFile
from vggexport.formats.tflite.layer_kinds import quantized_mean
from vggexport.network.spec import MEAN_RGB

PRECISIONS = ["float32", "float16", "dynamic-int8", "int8", "int8-w4"]
FULL = {"precision": "int8", "input_dtype": "uint8", "full_integer": True}
VARIANTS = [{"precision": precision} for precision in PRECISIONS]
VARIANTS += [variant | {"input_dtype": "uint8"} for variant in VARIANTS]
VARIANTS.append(FULL)

LAYERS = [
    ("CONV_2D", "block1_conv1"),
    ("CONV_2D", "block1_conv2"),
    ("MAX_POOL_2D", "block1_pool"),
    ("CONV_2D", "block2_conv1"),
    ("MAX_POOL_2D", "block2_pool"),
    ("RESHAPE", "flatten"),
    ("FULLY_CONNECTED", "fc1"),
    ("FULLY_CONNECTED", "fc2"),
    ("FULLY_CONNECTED", "predictions"),
]
SUBTRACTION, SOFTMAX = ("SUB", "mean_subtraction"), ("SOFTMAX", "probabilities")
WEIGHTS = ["block1_conv1", "block1_conv2", "block2_conv1", "fc1", "fc2", "predictions"]


def before(name: str, operators: list, inserted: list) -> list:
    position = next(i for i, (_, output) in enumerate(operators) if output == name)
    return operators[:position] + inserted + operators[position:]


def float16_operators() -> list:
    operators = [SUBTRACTION, *LAYERS, SOFTMAX]
    for layer in WEIGHTS:
        weights = [("DEQUANTIZE", f"{layer}/{tensor}/float32") for tensor in ("kernel", "bias")]
        operators = before(layer, operators, weights)
    return operators


QUANTIZED = [SUBTRACTION, ("QUANTIZE", "mean_subtraction/int8"), *LAYERS]
EXPECTED = {
    "float32": [SUBTRACTION, *LAYERS, SOFTMAX],
    "float16": float16_operators(),
    "dynamic-int8": [SUBTRACTION, *LAYERS, SOFTMAX],
    "int8": [
        *before(
            "predictions", QUANTIZED, [("DEQUANTIZE", "fc2/float32"), ("QUANTIZE", "fc2/int16")]
        ),
        ("DEQUANTIZE", "predictions/float32"),
        SOFTMAX,
    ],
    "int8-w4": [*before("fc1", QUANTIZED, [("DEQUANTIZE", "flatten/float32")]), SOFTMAX],
    "full": [
        ("QUANTIZE", "images/int8"),
        SUBTRACTION,
        *LAYERS,
        ("SOFTMAX", "probabilities/int8"),
        ("QUANTIZE", "probabilities"),
    ],
}

DATA_TYPES = {
    ("SUB", "float32"): 1,
    ("SUB", "int8"): 2,
    ("CONV_2D", "float32", "float32"): 1,
    ("CONV_2D", "int8", "int8"): 3,
    ("CONV_2D", "float32", "int8"): 5,
    ("FULLY_CONNECTED", "float32", "float32"): 1,
    ("FULLY_CONNECTED", "int8", "int8"): 4,
    ("FULLY_CONNECTED", "int16", "int8"): 7,
    ("FULLY_CONNECTED", "float32", "int8"): 12,
    # The lowest that runtimes refuse which misread int4 blocks (docs/runtimes.md).
    ("FULLY_CONNECTED", "float32", "int4"): 14,
    ("MAX_POOL_2D", "float32"): 1,
    ("MAX_POOL_2D", "int8"): 2,
    ("SOFTMAX", "float32"): 1,
    ("SOFTMAX", "int8"): 2,
    ("DEQUANTIZE", "int8"): 2,
    ("DEQUANTIZE", "int16"): 3,
    ("DEQUANTIZE", "float16"): 3,
    ("QUANTIZE", "int8"): 1,
    ("QUANTIZE", "uint8"): 1,
    ("QUANTIZE", "int16"): 2,
    ("RESHAPE", "float32"): 1,
    ("RESHAPE", "int8"): 1,
    ("CAST", "uint8"): 1,
}
"""Versions as ``tensorflow/lite/tools/versioning/op_version.cc`` gives them, kernels per channel
and inputs of fully connected layers asymmetric; 7 is the lowest that has int16 inputs. By the type
that is read, of QUANTIZE the type that is written, and that of the kernel."""


def variant_id(variant: dict) -> str:
    return "-".join("full" if value is True else str(value) for value in variant.values())


@pytest.fixture(params=VARIANTS, ids=variant_id)
def variant(request) -> dict:
    return request.param


def tflite(export, variant: dict) -> TfliteFile:
    return TfliteFile(export(format="tflite", **variant))


def named(file: TfliteFile) -> list[tuple[str, str]]:
    return [(o.type, file.tensors[o.outputs[0]].name) for o in file.operators]


def test_operators_are_one_a_layer_with_conversions_between(export, variant):
    expected = list(EXPECTED["full" if variant is FULL else variant["precision"]])
    if variant.get("input_dtype") == "uint8" and variant is not FULL:
        expected.insert(0, ("CAST", "images/float32"))
    assert named(tflite(export, variant)) == expected


def test_each_operator_reads_what_the_one_before_computed(export, variant):
    file = tflite(export, variant)
    weights = {o.outputs[0] for o in file.operators if file.tensors[o.inputs[0]].data.size}
    current = file.inputs[0].index
    for operator in (o for o in file.operators if o.outputs[0] not in weights):
        assert operator.inputs[0] == current
        (current,) = operator.outputs
    assert (current,) == tuple(tensor.index for tensor in file.outputs)


def test_versions_are_those_of_the_types(export, variant):
    file = tflite(export, variant)
    for operator in file.operators:
        types = [file.tensors[index].dtype for index in operator.inputs]
        key = {
            "QUANTIZE": (operator.type, file.tensors[operator.outputs[0]].dtype),
            "CONV_2D": (operator.type, *types[:2]),
            "FULLY_CONNECTED": (operator.type, *types[:2]),
        }.get(operator.type, (operator.type, types[0]))
        assert operator.version == DATA_TYPES[key], key


@pytest.mark.parametrize(
    ("precision", "convolution", "hidden", "logits"),
    [
        ("float32", "float32", "float32", "float32"),
        ("float16", "float16", "float16", "float16"),
        ("dynamic-int8", "int8", "int8", "int8"),
        ("int8", "int8", "int8", "int8"),
        ("int8-w4", "int8", "int4", "int4"),
    ],
)
def test_kernels_are_stored_in_the_type_of_the_precision(
    export, precision, convolution, hidden, logits
):
    file = tflite(export, {"precision": precision})
    stored = {t.name: t.dtype for t in file.tensors if t.data.size}
    assert [stored[f"{layer}/kernel"] for layer in WEIGHTS] == [
        *[convolution] * 3, *[hidden] * 2, logits,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variant", "types"),
    [
        ({"precision": "float32"}, ["float32"] * 6),
        ({"precision": "float16"}, ["float16"] * 6),
        ({"precision": "dynamic-int8"}, ["float32"] * 6),
        ({"precision": "int8"}, [*["int32"] * 5, "int64"]),
        ({"precision": "int8-w4"}, [*["int32"] * 3, *["float32"] * 3]),
        (FULL, ["int32"] * 6),
    ],
)
def test_biases_are_stored_in_the_type_that_the_kernel_takes(export, variant, types):
    stored = {t.name: t.dtype for t in tflite(export, variant).tensors if t.data.size}
    assert [stored[f"{layer}/bias"] for layer in WEIGHTS] == types


def test_activations_have_the_layers_shapes(export, tiny, variant):
    tensors = {tensor.name: tensor for tensor in tflite(export, variant).tensors}
    for layer in tiny.layers:
        assert tensors[layer.name].shape == (-1, *layer.output_shape)


def test_int8_files_compute_logits_in_int16_and_the_softmax_in_float(export):
    file = tflite(export, {"precision": "int8"})
    types = {tensor.name: tensor.dtype for tensor in file.tensors}
    assert types["predictions"] == "int16"
    assert types["probabilities"] == "float32"
    hidden = [layer for layer in WEIGHTS if layer != "predictions"]
    assert {types[name] for name in (*hidden, "block1_pool", "flatten")} == {"int8"}


@pytest.mark.parametrize("batch", [1, 3, None])
def test_a_full_integer_file_has_no_float_tensor_at_all(export, batch):
    file = tflite(export, FULL | {"batch": batch})
    types = {tensor.dtype for tensor in file.tensors}
    assert types == {"int8", "uint8", "int32"}
    (images,), (probabilities,) = file.inputs, file.outputs
    assert (images.dtype, images.scales, images.zero_points) == ("uint8", [1], [0])
    assert probabilities.dtype == "uint8"
    assert (probabilities.scales, probabilities.zero_points) == ([1 / 256], [0])


def options_of(path) -> dict[str, object]:
    """Each operator's options by the name of what it computes."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (graph,) = model.subgraphs
    return {graph.tensors[o.outputs[0]].name.decode(): o.builtinOptions for o in graph.operators}


def test_options_say_padding_strides_and_activation(export, variant):
    options = options_of(export(format="tflite", **variant))
    functions = schema.ActivationFunctionType
    for name in ("block1_conv1", "block1_conv2", "block2_conv1"):
        convolution = options[name]
        assert convolution.padding == schema.Padding.SAME
        assert (convolution.strideW, convolution.strideH) == (1, 1)
        assert (convolution.dilationWFactor, convolution.dilationHFactor) == (1, 1)
        assert convolution.fusedActivationFunction == functions.RELU
    for name in ("block1_pool", "block2_pool"):
        pool = options[name]
        assert pool.padding == schema.Padding.VALID
        assert (pool.strideW, pool.strideH, pool.filterWidth, pool.filterHeight) == (2, 2, 2, 2)
        assert pool.fusedActivationFunction == functions.NONE
    for name in ("fc1", "fc2", "predictions"):
        relu = functions.NONE if name == "predictions" else functions.RELU
        assert options[name].fusedActivationFunction == relu
        in_float = variant["precision"] in {"dynamic-int8", "int8-w4"}
        assert options[name].asymmetricQuantizeInputs == in_float
    assert options.get("probabilities/int8", options["probabilities"]).beta == 1.0


def test_an_odd_feature_map_loses_its_last_row(tiny, make_request):
    artifact = replace(make_request().artifact, spec=replace(tiny, input_size=(17, 17)))
    graph = build_graph(artifact, {})
    assert graph.tensors["block1_pool"].shape == (8, 8, 6)
    assert graph.tensors["block2_pool"].shape == (4, 4, 8)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_graph_is_made_without_any_weight(make_request, ranges, precision):
    request = make_request(precision, format="tflite")
    graph = build_graph(request.artifact, request.ranges.quantization() if request.ranges else {})
    assert graph.input.name == "images"
    assert graph.output.name == "probabilities"
    assert all(tensor.data is None for tensor in graph.weights.values())
    constants = [tensor.name for tensor in graph.tensors.values() if tensor.data is not None]
    assert constants == ["mean_subtraction/mean_rgb", "flatten/shape"]


@pytest.mark.parametrize(
    ("mean", "largest_error"),
    [
        (MEAN_RGB, 0.03),  # a seventeenth of the half step that pixels are rounded by
        ((0.0, 0.0, 0.0), 0.0),
        ((255.0, 255.0, 255.0), 1e-5),  # the scale is float32
        ((128.0, 128.0, 128.0), 1e-5),
        ((0.4, 0.2, 0.1), 0.004),  # half a step of 1/128
        ((10.0, 20.0, 30.0), 0.06),  # half of 30/255, and the best of 128 scales
    ],
)
def test_the_mean_is_rounded_to_int8_least(mean, largest_error):
    integers, parameters = quantized_mean(np.float32(mean))
    assert integers.dtype == np.int8
    assert parameters.zero_point == -128
    assert parameters.scale == np.float32(parameters.scale)
    restored = (integers.astype(int) + 128) * parameters.scale
    np.testing.assert_allclose(restored, mean, rtol=0, atol=largest_error)


def test_a_mean_on_the_usual_scale_would_be_four_times_worse():
    """So the search for a scale is worth its lines."""
    mean = np.float32(MEAN_RGB)
    scale = mean.max() / 255
    usual = np.abs(np.rint(mean / scale) * scale - mean).max()
    integers, parameters = quantized_mean(mean)
    best = np.abs((integers.astype(int) + 128) * parameters.scale - mean).max()
    assert best < usual / 4
