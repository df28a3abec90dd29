"""Options as programs give them: values that mean what is declared are taken, others refused.

Type checkers see wrong ones; a notebook has none. ``"a.onnx"`` where a path is declared is one,
``"int8"`` is a member of its enumeration, a list a tuple.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache
from numbers import Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from vggexport.errors import InputError


@dataclass(frozen=True, slots=True)
class Within:
    """Bounds of a number, both allowed; stands in ``Annotated``."""

    least: float
    most: float | None = None

    def allows(self, value: Any) -> bool:
        """Whether a number lies between them."""
        return bool(self.least <= value and (self.most is None or value <= self.most))

    def __str__(self) -> str:
        most = "or more" if self.most is None else f"to {self.most:g}"
        return f"{self.least:g} {most}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """Words that are allowed; stands in ``Annotated``."""

    words: Collection[str]

    def allows(self, value: Any) -> bool:
        """Whether it is one of them."""
        return value in self.words

    def __str__(self) -> str:
        return f"one of {', '.join(self.words)}"


@dataclass(frozen=True, slots=True)
class Filled:
    """Of a list, that something is in it; stands in ``Annotated``."""

    def allows(self, value: Any) -> bool:
        """Whether something is."""
        return bool(value)

    def __str__(self) -> str:
        return "at least one"


Positive = Annotated[int, Within(1)]
Share = Annotated[float, Within(0, 1)]
Sources = Annotated[tuple[str, ...] | list[str], Filled()]
"""Paths of artifacts, or sources of weights."""


class TypedOptions:
    """Base of frozen dataclasses of options; one with a ``__post_init__`` calls this one's first.

    Raises:
        InputError: A value is of another type than its field, or not one of those allowed.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        cls: Any = type(self)
        for name, kind in _kinds(cls).items():
            given = getattr(self, name)
            try:
                object.__setattr__(self, name, _as(kind, given))
            except (TypeError, ValueError) as error:
                told = _words(kind)
                raise InputError(f"{name} is {given!r}: expected {told}") from error


@cache
def _kinds(cls: Any) -> Mapping[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in fields(cls)}


def _as(kind: Any, value: Any) -> Any:
    """A value as it is declared.

    Raises:
        TypeError, ValueError: It is something else.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        found, bounds = _as(parts[0], value), parts[1]
        if not bounds.allows(found):
            raise ValueError(bounds)
        return found
    if origin in {Union, UnionType}:
        return _as_one_of(parts, value)
    if origin in {tuple, list, frozenset}:
        return _as_several(origin, parts, value)
    kind = origin or kind
    if kind in _CONVERSIONS:
        return _CONVERSIONS[kind](value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if isinstance(kind, type) and not isinstance(value, kind):
        raise TypeError(kind)
    return value


def _as_one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    for kind in sorted(kinds, key=lambda one: one is not type(value)):
        try:
            return _as(kind, value)
        except (TypeError, ValueError):
            continue
    raise TypeError(kinds)


def _as_several(origin: Any, kinds: tuple[Any, ...], value: Any) -> Any:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(origin)
    items = list(value)
    if origin is tuple and kinds[-1] is not ...:
        return tuple(_as(kind, item) for kind, item in zip(kinds, items, strict=True))
    return origin(_as(kinds[0], item) for item in items)


def _text(value: Any) -> str:
    found: str = _instance(os.fspath(value), str)
    return found


def _path(value: Any) -> Path:
    return Path(_instance(value, str | os.PathLike))


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(value)
    return operator.index(value)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    return float(_instance(value, Real))


def _instance(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(kind)
    return value


_CONVERSIONS: Mapping[Any, Callable[[Any], Any]] = {
    str: _text,
    Path: _path,
    int: _whole,
    float: _number,
}
_NAMES = {
    str: "text",
    Path: "a path",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    NoneType: "None",
}


def _words(kind: Any) -> str:
    """What a type is called in a message."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        of_words = isinstance(parts[1], OneOf)
        return str(parts[1]) if of_words else f"{_words(parts[0])}, {parts[1]}"
    if origin in {Union, UnionType}:
        told = list(dict.fromkeys(map(_words, parts)))
        return (", or " if any("," in one for one in told) else " or ").join(told)
    if origin is tuple and parts[-1] is not ...:
        return f"a tuple of {' and '.join(map(_words, parts))}"
    if origin in {tuple, list, frozenset}:
        return f"a list, each {_words(parts[0])}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    kind = origin or kind
    name = str(kind.__name__)
    return _NAMES.get(kind) or f"a{'n' * (name[0] in 'AEIOU')} {name}"
