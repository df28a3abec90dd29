"""Frozen values as JSON, by what a class says of its keys."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import pytest

from vggexport.system.json_values import Finite, JsonValue, Labels, Note, Seconds


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Point(JsonValue):
    x: float
    y: int = 0

    @property
    def is_far(self) -> bool:
        return self.x > 5


@dataclass(frozen=True, slots=True)
class Line(JsonValue):
    json_keys = """
        schema kind ends colour? label_names=labels note length took=seconds by_name
        far=ends.is_far first={label_names=labels note} last{x} xs=ends{x} ...last
    """

    schema: ClassVar[int] = 3
    kind: ClassVar[str] = "line"
    ends: tuple[Point, ...]
    by_name: Mapping[str, tuple[float, float]]
    colour: Colour | None = None
    labels: Labels = ()
    note: Note = ""
    length: Finite = 1.0
    seconds: Mapping[str, Seconds] | None = None

    @property
    def last(self) -> Point | None:
        return self.ends[-1] if self.ends else None


LINE = Line((Point(1.0), Point(9.0, 2)), {"a": (1.0, 2.0)})
JSON: Mapping[str, Any] = {
    "schema": 3,
    "kind": "line",
    "ends": [{"x": 1.0, "y": 0}, {"x": 9.0, "y": 2}],
    "label_names": None,
    "note": None,
    "length": 1.0,
    "took": None,
    "by_name": {"a": [1.0, 2.0]},
    "far": [False, True],
    "first": {"label_names": None, "note": None},
    "last": {"x": 9.0},
    "xs": [{"x": 1.0}, {"x": 9.0}],
    "x": 9.0,
    "y": 2,
}


def test_keys_are_written_in_their_order():
    assert LINE.to_json() == JSON
    assert list(LINE.to_json()) == list(JSON)


def test_what_is_there_is_written():
    line = Line((Point(1.0),), {}, Colour.RED, ("a", "b"), "n", 2.5, {"run": 1.23456})
    found = line.to_json()
    assert (found["colour"], type(found["colour"])) == ("red", str)
    assert (found["label_names"], found["note"], found["length"]) == (["a", "b"], "n", 2.5)
    assert found["took"] == {"run": 1.235}
    assert list(found)[:4] == ["schema", "kind", "ends", "colour"]


@pytest.mark.parametrize("length", [math.inf, -math.inf, math.nan])
def test_json_has_no_infinity_and_no_nan_where_that_is_said(length):
    assert Line((Point(1.0),), {}, length=length).to_json()["length"] is None


@dataclass(frozen=True, slots=True)
class Record(JsonValue):
    json_keys = "schema point points range by_name batch colour labels nothing far=point.is_far"

    schema: ClassVar[int] = 3
    point: Point
    points: tuple[Point, ...]
    range: tuple[float, float]
    by_name: Mapping[str, int]
    batch: int | None
    colour: Colour
    labels: Labels
    nothing: Any = None


RECORD = Record(
    Point(1.5, 2), (Point(1.0),), (0.0, 1.0), {"a": 1}, None, Colour.RED, (), {"a": [{}]}
)


def test_what_was_written_is_read():
    assert Record.from_json(RECORD.to_json()) == RECORD
    assert Record.from_json(RECORD.to_json() | {"labels": ["a"]}).labels == ("a",)
    assert Record.from_json(RECORD.to_json() | {"batch": 4, "further": 1}).batch == 4


def test_a_whole_number_is_a_float():
    (point,) = Record.from_json(RECORD.to_json() | {"points": [{"x": 1, "y": 2}]}).points
    assert (point.x, type(point.x)) == (1.0, float)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("schema", 4, "schema 4"),
        ("point", None, "NoneType"),
        ("point", {"x": "1", "y": 2}, "x: expected float, not '1'"),
        ("point", {"x": True, "y": 2}, "x: expected float, not True"),
        ("points", {"x": 1}, "points: expected tuple"),
        ("range", [1.0], r"expected 2 values, not \[1.0\]"),
        ("range", [1.0, 2.0, 3.0], "expected 2 values"),
        ("by_name", [["a", 1]], "by_name: expected Mapping"),
        ("by_name", {"a": 1.5}, "by_name: expected int, not 1.5"),
        ("batch", "4", "batch: expected int, not '4'"),
        ("colour", "blue", "'blue' is not a valid Colour"),
        ("labels", [1], "labels: expected str, not 1"),
    ],
)
def test_what_is_of_another_kind_is_refused(key, value, said):
    with pytest.raises((TypeError, ValueError), match=said):
        Record.from_json(RECORD.to_json() | {key: value})


@pytest.mark.parametrize("key", ["schema", "point", "labels", "batch"])
def test_a_missing_key_is_named(key):
    data = RECORD.to_json()
    del data[key]
    with pytest.raises(KeyError, match=key):
        Record.from_json(data)
