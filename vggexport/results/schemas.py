"""JSON Schemas of what the commands print with ``--json``, made from the results' own types.

They are of draft 2020-12 (https://json-schema.org/draft/2020-12). What a schema requires is always
there; further keys may come with every version, so that none forbids them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from inspect import cleandoc
from types import NoneType
from typing import Annotated, Any, ClassVar, get_args, get_origin

from vggexport.network.head import HeadActivation, Pooling
from vggexport.network.spec import VGGSpec
from vggexport.system.json_values import NULL, SPREAD, Key, keys_of, kind_of, not_none
from vggexport.system.lazy_imports import load

DOCUMENTS: Mapping[str, str] = {
    "summary": "vggexport.results.summary:SummaryReport",
    "savedmodel": "vggexport.results.build:BuildReport",
    "onnx": "vggexport.results.build:BuildReport",
    "tflite": "vggexport.results.build:BuildReport",
    "export": "vggexport.results.build:ExportReport",
    "calibrate": "vggexport.results.build:CalibrationReport",
    "inspect": "vggexport.results.build:Inspection",
    "verify": "vggexport.results.verify:VerifyReport",
    "benchmark": "vggexport.results.benchmark:BenchmarkReport",
    "evaluate": "vggexport.results.evaluate:EvaluationReport",
    "train": "vggexport.results.train:TrainingReport",
    "prune": "vggexport.results.prune:PruningReport",
    "bundle": "vggexport.results.bundle:BundleReport",
    "check-bundle": "vggexport.results.bundle:BundleCheckReport",
    "diff": "vggexport.results.diff:DifferenceReport",
    "doctor": "vggexport.results.doctor:DoctorReport",
}
"""What each command prints."""

_SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}

_SIZE = {"type": ["integer", "array"], "items": {"type": "integer"}}
_BY_HAND: Mapping[Any, Mapping[str, Any]] = {
    VGGSpec: {
        "type": "object",
        "properties": {
            "configuration": {"type": "string"},
            "blocks": {"type": "array"},
            "classes": {"type": "integer"},
            "fc_units": _SIZE,
            "input_size": _SIZE,
            "hidden_relu": {"type": "array", "items": {"type": "boolean"}},
            "last_pooling": {"type": "boolean"},
            "pooling": {"enum": [*Pooling]},
            "head_activation": {"enum": [*HeadActivation]},
        },
        "required": ["configuration", "blocks", "classes", "fc_units", "input_size"],
        "additionalProperties": True,
    },
}
"""Of classes that write their JSON themselves."""

Definitions = dict[str, Any]
"""Schemas that others refer to, by the names of their classes."""


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of what a command, one of :data:`DOCUMENTS`, prints with ``--json``.

    Raises:
        InputError: It prints none.
    """
    definitions: Definitions = {}
    schema = _object(load(DOCUMENTS, name), None, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"JSON of vggexport {name}",
        **schema,
        "$defs": definitions,
    }


def _object(cls: Any, keys: Sequence[Key] | None, definitions: Definitions) -> dict[str, Any]:
    """An object of these keys of a class, or of all that it has."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for key in keys or keys_of(cls):
        if key.name == SPREAD:
            parts = _object(not_none(kind_of(cls, key.path[0])), None, definitions)
            properties |= parts["properties"]
            required += parts["required"]
            continue
        properties[key.name] = _at(cls, key.path, key.keys, definitions)
        if not key.optional:
            required.append(key.name)
    return {"type": "object", "properties": properties, "required": required}


def _at(
    kind: Any, path: Sequence[str], keys: Sequence[Key] | None, definitions: Definitions
) -> dict[str, Any]:
    """What a path leads to from a value of that type."""
    if not path and keys is None:
        return _of(kind, definitions)
    if get_origin(kind) is Annotated:
        return _at(get_args(kind)[0], path, keys, definitions)
    if not_none(kind) is not kind:
        return _either(_at(not_none(kind), path, keys, definitions), NULL)
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _at(get_args(kind)[0], path, keys, definitions)}
    if not path:
        return _object(kind, keys, definitions)
    if get_origin(kind_of(kind, path[0])) is ClassVar:
        return {"const": getattr(kind, path[0])}
    found = _at(kind_of(kind, path[0]), path[1:], keys, definitions)
    said = _description(kind, path[0])
    return found | {"description": said} if said and len(path) == 1 else found


def _of(kind: Any, definitions: Definitions) -> dict[str, Any]:
    """What is written of a value of that type."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        found = _of(not_none(parts[0]), definitions)
        return found if parts[1].instead is None else _either(found, parts[1].instead)
    if not_none(kind) is not kind:
        return _either(*(_of(part, definitions) for part in parts))
    if origin is tuple and parts[-1] is not ...:
        items = [_of(part, definitions) for part in parts]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    if origin in {tuple, list}:
        return {"type": "array", "items": _of(parts[0], definitions)}
    if origin in {Mapping, dict}:
        return {"type": "object", "additionalProperties": _of(parts[1], definitions)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if kind in _SCALARS or kind is Any:
        return {} if kind is Any else {"type": _SCALARS[kind]}
    return _reference(kind, definitions)


def _reference(cls: Any, definitions: Definitions) -> dict[str, Any]:
    if cls.__name__ not in definitions:
        definitions[cls.__name__] = _BY_HAND.get(cls) or _object(cls, None, definitions)
    return {"$ref": f"#/$defs/{cls.__name__}"}


def _either(*schemas: Mapping[str, Any]) -> dict[str, Any]:
    """One of them; types alone stand in one list."""
    types = [schema["type"] for schema in schemas if schema.keys() == {"type"}]
    if len(types) == len(schemas) and all(isinstance(name, str) for name in types):
        return {"type": types}
    return {"anyOf": list(schemas)}


def _description(cls: Any, name: str) -> str:
    """What the code says of an attribute."""
    member = getattr(cls, name, None)
    said = member.__doc__ if isinstance(member, property) else _fields_described(cls).get(name)
    return " ".join((said or "").split())


@cache
def _fields_described(cls: Any) -> dict[str, str]:
    """The section "Attributes" of a class's docstring, by name."""
    section = cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    return dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE))
