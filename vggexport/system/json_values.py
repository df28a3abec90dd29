"""Frozen values as JSON: a class says once which keys it has, and is written and read by that.

``json_keys`` lists them in order, separated by white space; without it a class has its fields:

- ``name``: the attribute of that name, be it a field, a property or a class variable;
- ``key=path``: the same under another name. A path ``result.artifact.path`` leads through several
  objects, ``islands.name`` through each of a tuple; what is None on the way gives null;
- ``key=path{…}``: an object of those keys alone; ``key={…}`` takes them from the value itself;
- ``...path``: all keys of an attribute, in this place;
- ``key?=path``: left out where it is None.

What a key holds follows from the attribute's declared type: tuples are arrays, mappings objects,
enumerations their values. A :class:`Form` in ``Annotated`` says where JSON has it otherwise.
``vggexport.results.schemas`` makes JSON Schemas of the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache, cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

from vggexport.errors import InputError

WRONG_KINDS = (
    AttributeError, InputError, KeyError, OverflowError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What reading raises where JSON holds something else; of an infinite number OverflowError."""

SPREAD = "..."
NULL: Mapping[str, Any] = {"type": "null"}


@dataclass(frozen=True, slots=True)
class Form:
    """How JSON has a value where it is not as Python has it.

    Attributes:
        write: From what it would be without.
        read: The way back.
        instead: JSON Schema of what may stand in the value's place; nothing where nothing may.
    """

    write: Callable[[Any], Any]
    read: Callable[[Any], Any] = lambda data: data
    instead: Mapping[str, Any] | None = None


Finite = Annotated[float, Form(lambda v: v if math.isfinite(v) else None, instead=NULL)]
"""JSON knows no infinity and no NaN, so that they become null."""

Seconds = Annotated[float, Form(lambda v: round(v, 3))]
"""To a millisecond."""

Labels = Annotated[
    tuple[str, ...], Form(lambda v: v or None, lambda data: [] if data is None else data, NULL)
]
"""A name a class; null where there are none."""

Note = Annotated[str, Form(lambda v: v or None, instead=NULL)]
"""Null where there is nothing to say."""


class JsonValue:
    """Base of the frozen dataclasses that JSON is made of.

    Attributes:
        json_keys: Its keys, as this module's docstring says; empty for all fields.
    """

    __slots__ = ()
    json_keys: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """The value as ``json`` takes it."""
        return _object(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Reads :meth:`to_json`: the fields, and class variables that have to be the same.

        Raises:
            KeyError: A key is missing.
            TypeError: A value is of the wrong kind.
            ValueError: A value is of the right one, and not possible.
        """
        return cls(**read_fields(cls, data))


def read_fields(cls: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """What :meth:`JsonValue.from_json` gives to the class, for those that word its errors."""
    names = {field.name for field in fields(cls)}
    found = {}
    for key in keys_of(cls):
        name = ".".join(key.path)
        constant = getattr(cls, name, None)
        if key.optional and key.name not in data:
            continue
        if name in names:
            part = data if key.name == SPREAD else data[key.name]
            found[name] = _read(part, kind_of(cls, name), key.name)
        elif isinstance(constant, int | str) and data[key.name] != constant:
            raise ValueError(f"{key.name} {data[key.name]!r}")
    return found


@dataclass(frozen=True, slots=True)
class Key:
    """One of ``json_keys``.

    Attributes:
        name: In JSON; :data:`SPREAD` for all keys of what the path leads to.
        path: Names of attributes; none for the value itself.
        keys: Of the object that is made of it; None for what its type gives.
        optional: Whether it is left out where it is None.
    """

    name: str
    path: tuple[str, ...]
    keys: tuple[Key, ...] | None = None
    optional: bool = False


@cache
def keys_of(cls: Any) -> tuple[Key, ...]:
    """The keys of a :class:`JsonValue`."""
    text = cls.json_keys or " ".join(field.name for field in fields(cls))
    return tuple(_parsed(iter(re.findall(r"[^\s{}]+[{]?|[}]", text))))


def _parsed(words: Iterator[str]) -> Iterator[Key]:
    """Keys up to the brace that closes what they are in."""
    for word in words:
        if word == "}":
            return
        name, equals, path = word.rstrip("{").partition("=")
        if name.startswith(SPREAD):
            name, path = SPREAD, name.removeprefix(SPREAD)
        elif not equals:
            path = name.removesuffix("?")
        names = tuple(path.split(".")) if path else ()
        keys = tuple(_parsed(words)) if word.endswith("{") else None
        yield Key(name.removesuffix("?"), names, keys, name.endswith("?"))


@cache
def kind_of(cls: Any, name: str) -> Any:
    """The declared type of an attribute: a field's, a class variable's or what a property gives."""
    member = getattr(cls, name, None)
    if isinstance(member, property | cached_property):
        function = member.fget if isinstance(member, property) else member.func
        return get_type_hints(function, include_extras=True)["return"]
    return get_type_hints(cls, include_extras=True)[name]


def not_none(kind: Any) -> Any:
    """The type without None; the first where there are several."""
    if get_origin(kind) in {Union, UnionType}:
        return next(one for one in get_args(kind) if one is not NoneType)
    return kind


def _object(value: Any, keys: Sequence[Key] | None = None) -> dict[str, Any]:
    """The object of these keys, or of the class's."""
    cls: Any = type(value)
    found: dict[str, Any] = {}
    for key in keys or keys_of(cls):
        data = _followed(value, cls, key.path, key.keys)
        if key.name == SPREAD:
            found |= data
        elif not (key.optional and data is None):
            found[key.name] = data
    return found


def _followed(value: Any, kind: Any, path: Sequence[str], keys: Sequence[Key] | None) -> Any:
    """What a path leads to from a value of that type."""
    if not path and keys is None:
        return _written(value, kind)
    if value is None:
        return None
    if isinstance(value, tuple):
        return [_followed(one, type(one), path, keys) for one in value]
    if not path:
        return _object(value, keys)
    cls: Any = type(value)
    return _followed(getattr(value, path[0]), kind_of(cls, path[0]), path[1:], keys)


def _written(value: Any, kind: Any) -> Any:
    """A value of that type as JSON has it."""
    if get_origin(kind) is Annotated:
        inner, form = get_args(kind)
        return form.write(_written(value, inner))
    if not_none(kind) is not kind:
        return None if value is None else _written(value, not_none(kind))
    if kind is Any:
        return value
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, tuple):
        return [_written(one, part) for one, part in zip(value, _parts(kind, value), strict=True)]
    if isinstance(value, Mapping):
        return {str(name): _written(one, get_args(kind)[1]) for name, one in value.items()}
    return value.value if isinstance(value, Enum) else value


def _parts(kind: Any, values: Sequence[Any]) -> Sequence[Any]:
    """Types of the elements of a tuple."""
    parts = get_args(kind)
    if parts[-1] is ...:
        return [parts[0]] * len(values)
    if len(parts) != len(values):
        raise TypeError(f"expected {len(parts)} values, not {values!r}")
    return parts


def _read(data: Any, kind: Any, name: str) -> Any:
    """The value of that type that was written so."""
    if get_origin(kind) is Annotated:
        inner, form = get_args(kind)
        return _read(form.read(data), inner, name)
    if not_none(kind) is not kind:
        return None if data is None else _read(data, not_none(kind), name)
    if get_origin(kind) is tuple and isinstance(data, list):
        return tuple(
            _read(one, part, name) for one, part in zip(data, _parts(kind, data), strict=True)
        )
    if get_origin(kind) is Mapping and isinstance(data, Mapping):
        return {key: _read(one, get_args(kind)[1], name) for key, one in data.items()}
    reader = getattr(kind, "from_json", None)
    if reader:
        return reader(data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float and type(data) is int:
        return float(data)
    expected = get_origin(kind) or kind
    if kind is not Any and type(data) is not expected:
        raise TypeError(f"{name}: expected {expected.__name__}, not {data!r}")
    return data
