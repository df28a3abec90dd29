"""The first TensorFlow whose TFLite runtime knows what a file uses.

The converter leaves it in each file as the metadata ``min_runtime_version``, and tools that deploy
files look there. It is what a table says, where docs/runtimes.md has what was tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vggexport.formats.tflite.graph import Operator

MIN_RUNTIME_VERSION = "min_runtime_version"

_BYTES = 16
"""Of the buffer, whose rest is zeros."""

_SINCE: Mapping[tuple[str, int], tuple[int, int]] = {
    ("CAST", 1): (1, 5),
    ("CONV_2D", 1): (1, 5),
    ("CONV_2D", 3): (1, 14),
    ("CONV_2D", 5): (2, 4),
    ("DEQUANTIZE", 2): (1, 14),
    ("DEQUANTIZE", 3): (1, 15),
    ("FULLY_CONNECTED", 1): (1, 5),
    ("FULLY_CONNECTED", 4): (1, 14),
    ("FULLY_CONNECTED", 7): (2, 3),
    ("FULLY_CONNECTED", 12): (2, 17),
    ("FULLY_CONNECTED", 14): (2, 21),
    ("LOGISTIC", 1): (1, 14),
    ("LOGISTIC", 2): (1, 14),
    ("MAX_POOL_2D", 1): (1, 5),
    ("MAX_POOL_2D", 2): (1, 14),
    ("MEAN", 1): (1, 6),
    ("MEAN", 2): (1, 14),
    ("QUANTIZE", 1): (1, 14),
    ("QUANTIZE", 2): (1, 15),
    ("REDUCE_MAX", 1): (1, 11),
    ("REDUCE_MAX", 2): (1, 14),
    ("RESHAPE", 1): (1, 5),
    ("SOFTMAX", 1): (1, 5),
    ("SOFTMAX", 2): (1, 14),
    ("SUB", 1): (1, 6),
    ("SUB", 2): (1, 14),
}
"""By operator and its version, of those that are written here (TensorFlow's ``runtime_version.cc``,
``FindMinimumRuntimeVersionForOp``)."""


def min_runtime_version(operators: Iterable[Operator]) -> bytes:
    """What the metadata's buffer holds: the newest of all operators' first versions."""
    major, minor = max(_SINCE[operator.type, operator.version] for operator in operators)
    return f"{major}.{minor}.0".encode().ljust(_BYTES, b"\0")
