"""How a layer of a functional Keras model is called: an inbound node of its description as data.

Keras 3 writes ``{"args": […], "kwargs": {…}}`` with tensors as ``__keras_tensor__``; Keras 2 writes
``["layer", 0, 0, {…}]``, in a list of its own for everything but ``TFOpLambda``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

CONSTANT = "_CONSTANT_VALUE"
"""Keras 2's name of the "layer" that a constant first argument comes from."""
_IMAGE_RANK = 4


@dataclass(frozen=True, slots=True)
class Reference:
    """The output of another layer."""

    layer: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a layer; its tensors are :class:`Reference` values, lists are tuples."""

    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the layers that it takes something from, in order, as often as it does."""
        return tuple(_references((self.arguments, tuple(self.keywords.values()))))


def parse_call(node: Any) -> Call:
    """Reads an inbound node.

    Raises:
        TypeError, ValueError, KeyError: It is none of Keras.
    """
    if isinstance(node, Mapping):
        keywords = {key: _decoded(value) for key, value in node["kwargs"].items()}
        keywords.pop("training", None)  # predict() sets it whatever the file says; Keras 2 does not
        return Call(tuple(_decoded(value) for value in node["args"]), keywords)
    if isinstance(node[0], str):
        return _keras_2_call(node)
    if len(node) == 1:
        return _keras_2_call(node[0])
    calls = [_keras_2_call(part) for part in node]
    return Call((tuple(call.arguments[0] for call in calls),), calls[0].keywords)


def channels_taken(call: Call) -> Any:
    """What an indexing of NHWC images takes of the last axis: a number or a slice.

    Returns:
        None where it takes less than everything of another axis.
    """
    index = call.keywords.get("slice_spec")
    if index is None and len(call.arguments) > 1:
        index = call.arguments[1]
    if not isinstance(index, tuple) or not index:
        return None
    whole = all(part is Ellipsis or part == slice(None) for part in index[:-1])
    complete = len(index) == _IMAGE_RANK or index[:-1].count(Ellipsis) == 1
    return index[-1] if whole and complete else None


def _keras_2_call(node: Any) -> Call:
    name, place, output, *rest = node
    keywords = {key: _decoded(value) for key, value in (rest[0] if rest else {}).items()}
    first = _decoded(output) if name == CONSTANT else _reference([name, place, output])
    return Call((first,), keywords)


def _reference(history: Any) -> Reference:
    name, _, output = history
    if not isinstance(name, str) or output != 0:
        raise ValueError(f"{history} is not the only output of a layer")
    return Reference(name)


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        if len(value) == 3 and isinstance(value[0], str):
            return _reference(value)
        return tuple(_decoded(part) for part in value)
    if isinstance(value, Mapping):
        if value.keys() == {"start", "stop", "step"}:
            return _slice(value)
        decode = _DECODERS.get(value.get("class_name", ""))
        return decode(value) if decode else value
    return value


def _slice(value: Mapping[str, Any]) -> slice:
    return slice(value["start"], value["stop"], value["step"])


_DECODERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "__keras_tensor__": lambda value: _reference(value["config"]["keras_history"]),
    "__tensor__": lambda value: _decoded(value["config"]["value"]),
    "__numpy__": lambda value: _decoded(value["config"]["value"]),
    "__ellipsis__": lambda _: Ellipsis,
    "__slice__": lambda value: _slice(value["config"]),
    "__tuple__": lambda value: _decoded(value["items"]),
}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Reference):
        yield value.layer
    elif isinstance(value, tuple):
        for part in value:
            yield from _references(part)
