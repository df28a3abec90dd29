"""Is it really int8? An audit of what a runtime computes, operator by operator.

A float island is an operator that computes in floating point where an int8 file should compute in
integers. It works on operators as any inspector lists them, so it knows no file format.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vggexport.system.json_values import JsonValue

FLOAT_DTYPES = frozenset({"float16", "bfloat16", "float32", "float64"})
INTEGER_DTYPES = frozenset({"int8", "uint8", "int4", "uint4"})

FLOAT_BY_DESIGN = frozenset({
    # ONNX
    *("Sub", "Cast", "Transpose", "Flatten", "QuantizeLinear", "DequantizeLinear"),
    *("Relu", "Sigmoid", "Softmax"),
    # TFLite
    *("SUB", "CAST", "RESHAPE", "QUANTIZE", "DEQUANTIZE", "LOGISTIC", "SOFTMAX"),
})  # fmt: skip
"""Operators that an int8 network keeps in float: the mean subtraction in front of the first
quantization, what moves, converts or clips values, and the end on float logits. A ReLU that
could not be part of an integer layer stands after an island with weights."""

BLOCKWISE_DTYPES = frozenset({"int4", "uint4"})
"""Weights that runtimes multiply in integers though data comes in float, block by block."""


@dataclass(frozen=True, slots=True)
class Operator(JsonValue):
    """One operator as the runtime runs it.

    Attributes:
        name: Its node's name.
        type: Its operator type in the format's own words, such as "QLinearConv".
        inputs: Data types of its inputs, weights included; "" for an input left out.
        outputs: Data types of its outputs.
        weights_dtype: Data type of its kernel, or None if it has none.
    """

    name: str
    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights_dtype: str | None = None


def float_islands(operators: Iterable[Operator]) -> tuple[Operator, ...]:
    """Operators that compute in float and should not.

    Whatever reads its data or its weights in float is one, but for :data:`FLOAT_BY_DESIGN` and for
    weights of :data:`BLOCKWISE_DTYPES`.
    """
    return tuple(operator for operator in operators if _is_island(operator))


def float_operators(operators: Iterable[Operator]) -> tuple[Operator, ...]:
    """Operators that touch floats at all: none may be there for a processor that has none."""
    return tuple(
        operator
        for operator in operators
        if FLOAT_DTYPES.intersection((*operator.inputs, *operator.outputs))
    )


def _is_island(operator: Operator) -> bool:
    if operator.type in FLOAT_BY_DESIGN or operator.weights_dtype in BLOCKWISE_DTYPES:
        return False
    reads = operator.inputs[0] if operator.inputs else None
    return reads in FLOAT_DTYPES or operator.weights_dtype in FLOAT_DTYPES
