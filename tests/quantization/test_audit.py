"""What counts as a float island."""

import pytest

from vggexport.metrics.parity import compare
from vggexport.metrics.tolerance import Tolerance
from vggexport.quantization.audit import Operator, float_islands, float_operators
from vggexport.results.build import CheckReport, Inspection

INTEGER = [
    Operator("c", "QLinearConv", ("uint8", "float32", "uint8", "int8"), ("uint8",), "int8"),
    Operator("g", "QGemm", ("uint8", "float32", "uint8", "int8"), ("float32",), "int8"),
    Operator("p", "MaxPool", ("uint8",), ("uint8",)),
    Operator("f", "Flatten", ("int8",), ("int8",)),
]
BY_DESIGN = [
    Operator("s", "Sub", ("float32", "float32"), ("float32",)),
    Operator("x", "Cast", ("uint8",), ("float32",)),
    Operator("t", "Transpose", ("float32",), ("float32",)),
    Operator("q", "QuantizeLinear", ("float32", "float32", "uint8"), ("uint8",)),
    Operator("d", "DequantizeLinear", ("uint8", "float32", "uint8"), ("float32",)),
    Operator("z", "Softmax", ("float32",), ("float32",)),
    Operator("f", "Flatten", ("float32",), ("float32",)),
    Operator("r", "Relu", ("float32",), ("float32",)),
    Operator("m", "MatMulNBits", ("float32", "uint8", "float32"), ("float32",), "uint4"),
    Operator("s", "SUB", ("float32", "float32"), ("float32",)),
    Operator("q", "QUANTIZE", ("float32",), ("int8",)),
    Operator("b", "FULLY_CONNECTED", ("float32", "int4", "float32"), ("float32",), "int4"),
]
ISLANDS = [
    Operator("c", "Conv", ("float32", "float32"), ("float32",), "float32"),
    Operator("c", "FusedConv", ("float16", "float16"), ("float16",), "float16"),
    Operator("g", "Gemm", ("float32", "float32"), ("float32",), "float32"),
    Operator("g", "FusedGemm", ("bfloat16", "bfloat16"), ("bfloat16",), "bfloat16"),
    Operator("m", "MatMul", ("uint8", "float32"), ("float32",), "float32"),
    Operator("p", "MaxPool", ("float32",), ("float32",)),
    Operator("f", "FULLY_CONNECTED", ("float64", "int8"), ("float64",), "int8"),
    Operator("r", "CONV_2D", ("float32", "int8"), ("float32",), "int8"),
]


def label(operator: Operator) -> str:
    return f"{operator.type}-{operator.inputs[0]}"


@pytest.mark.parametrize("operator", INTEGER + BY_DESIGN, ids=label)
def test_what_an_int8_network_computes_is_no_island(operator):
    assert float_islands([operator]) == ()


@pytest.mark.parametrize("operator", ISLANDS, ids=label)
def test_what_computes_in_float_is_an_island(operator):
    assert float_islands([operator]) == (operator,)


def test_islands_are_found_among_others_in_order():
    mixed = [INTEGER[0], ISLANDS[7], BY_DESIGN[0], ISLANDS[0]]
    assert float_islands(iter(mixed)) == (ISLANDS[7], ISLANDS[0])


def test_whatever_touches_a_float_is_a_float_operator():
    """For processors that have none: what reads, writes or holds one."""
    convolution = Operator("x", "CONV_2D", ("int8", "int8", "int32"), ("int8",), "int8")
    integer = [INTEGER[2], INTEGER[3], convolution]
    assert float_operators(integer) == ()
    assert float_operators(INTEGER[:2] + integer + BY_DESIGN) == (*INTEGER[:2], *BY_DESIGN)


def test_an_operator_is_told_with_the_contracts_keys():
    assert INTEGER[0].to_json() == {
        "name": "c",
        "type": "QLinearConv",
        "inputs": ["uint8", "float32", "uint8", "int8"],
        "outputs": ["uint8"],
        "weights_dtype": "int8",
    }


def inspection(*operators: Operator) -> Inspection:
    return Inspection(None, (), (), operators, parameters=0, size_bytes=0)


def test_an_inspection_names_what_speaks_against_int8():
    assert inspection(*INTEGER, *BY_DESIGN).not_integer() == ()
    assert inspection(*INTEGER, ISLANDS[7]).not_integer() == ("r (CONV_2D) computes in float",)
    no_weights = [operator for operator in BY_DESIGN if operator.weights_dtype is None]
    assert inspection(*no_weights).not_integer() == ("no operator has int8 weights",)
    assert inspection(*INTEGER, ISLANDS[7]).to_json()["float_islands"] == ["r"]


def test_a_check_fails_on_islands_whatever_its_parity(numpy_network, tiny, tiny_weights, images):
    probabilities = numpy_network(tiny, tiny_weights, images)["probabilities"]
    metrics = compare(probabilities, probabilities)
    passed = CheckReport("float32", 6, metrics, Tolerance("none"))
    failed = CheckReport("float32", 6, metrics, Tolerance("none"), (ISLANDS[0], ISLANDS[7]))
    assert passed.failures == ()
    assert failed.failures == ("computed in float: c, r",)
    assert (passed.to_json()["passed"], failed.to_json()["passed"]) == (True, False)
