"""Options of the Python API: what means what is declared is taken, the rest refused by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

import vggexport
from vggexport.errors import InputError
from vggexport.precision import Precision
from vggexport.system.typed_options import Filled, OneOf, Positive, Share, TypedOptions


class Kind(StrEnum):
    A = "a"
    B = "b"


@dataclass(frozen=True, slots=True)
class Own(TypedOptions):
    text: str = ""
    path: Path | None = None
    kind: Kind = Kind.A
    count: Positive = 1
    share: Share | None = None
    many: Annotated[tuple[str, ...] | list[str], Filled()] = ("x",)
    size: tuple[int, int] | None = None
    word: Annotated[str, OneOf(("cpu", "cuda"))] = "cpu"
    flag: bool = False
    names: frozenset[str] = frozenset()
    by_name: Mapping[str, int] = field(default_factory=dict)
    inner: "Own | None" = None


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("text", Path("a/b"), "a/b"),
        ("path", "a/b", Path("a/b")),
        ("path", None, None),
        ("kind", "b", Kind.B),
        ("count", np.int64(3), 3),
        ("share", 1, 1.0),
        ("share", np.float32(0.5), 0.5),
        ("many", [Path("a"), "b"], ("a", "b")),
        ("many", (text for text in "ab"), ("a", "b")),
        ("size", [2, 3], (2, 3)),
        ("names", ["a", "a"], frozenset("a")),
        ("by_name", {"a": 1}, {"a": 1}),
        ("inner", Own(count=2), Own(count=2)),
    ],
)
def test_what_means_the_same_is_taken(name, given, taken):
    found = getattr(Own(**{name: given}), name)
    assert (found, type(found)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("text", 3, "text"),
        ("path", 3, "a path or None"),
        ("kind", "c", "one of a, b"),
        ("count", 0, "a whole number, 1 or more"),
        ("count", 1.5, "a whole number, 1 or more"),
        ("count", True, "a whole number, 1 or more"),
        ("share", 80, "a number, 0 to 1, or None"),
        ("share", float("nan"), "a number, 0 to 1, or None"),
        ("many", "a.onnx", "a list, each text, at least one"),
        ("many", [], "a list, each text, at least one"),
        ("size", 32, "a tuple of a whole number and a whole number or None"),
        ("size", (1, 2, 3), "a tuple of a whole number and a whole number or None"),
        ("word", "tpu", "one of cpu, cuda"),
        ("flag", "no", "True or False"),
        ("by_name", [], "a Mapping"),
        ("inner", "x", "an Own or None"),
    ],
)
def test_anything_else_is_refused_by_name(name, given, expected):
    said = re.escape(f"{name} is {given!r}: expected {expected}")
    with pytest.raises(InputError, match=f"^{said}$"):
        Own(**{name: given})


@pytest.mark.parametrize(
    "call",
    [
        lambda: vggexport.NetworkOptions(weights=Path("w.npz"), labels="labels.txt"),
        lambda: vggexport.FileOptions("onnx", "a.onnx", "int8"),
        lambda: vggexport.ExportOptions(formats=["onnx"], precisions=["int8"], folder="release"),
        lambda: vggexport.SpecRequest(input_size=[64, 64], pooling="adaptive"),
    ],
)
def test_options_of_the_package_are_typed(call):
    assert call() is not None


def test_what_a_call_would_substitute_in_silence_is_refused():
    with pytest.raises(InputError, match="device is 'tpu': expected one of cpu, cuda"):
        vggexport.benchmark(["a.onnx"], device="tpu")
    with pytest.raises(
        InputError, match="format is 'ort': expected one of savedmodel, onnx, tflite"
    ):
        vggexport.FileOptions("ort")
    with pytest.raises(InputError, match="batch is 0: expected a whole number, 1 or more, or None"):
        vggexport.FileOptions("onnx", batch=0)
    with pytest.raises(InputError, match="artifacts is 'a\\.onnx': expected a list"):
        vggexport.verify("a.onnx")
    assert vggexport.FileOptions("onnx", precision="int8").precision is Precision.INT8
