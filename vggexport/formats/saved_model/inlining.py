"""A graph whose functions are replaced by what is in them, so that every tensor has one name.

``FunctionDef`` is described in TensorFlow's ``function.proto``: inside, an input is an argument's
name or "node:output:index"; outside, "node:index".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tensorflow.core.framework import node_def_pb2

from vggexport.errors import ArtifactError
from vggexport.formats.saved_model.graph import node_name, reached

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
MAX_DEPTH = 32
"""Functions within functions; converters make three or four."""


@dataclass(slots=True)
class _Scope:
    """A function's body, or the graph around all of them.

    Attributes:
        prefix: In front of the names of its nodes.
        arguments: What its arguments stand for, outside.
        given: What calls in it give, by the call's name.
    """

    prefix: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    given: dict[str, list[str]] = field(default_factory=dict)

    def resolved(self, name: str) -> str:
        """The one name that a tensor has outside."""
        node, *place = name.split(":")
        index = int(place[-1]) if place else 0
        if node in self.arguments:
            return self.arguments[node]
        if node in self.given:
            return self.given[node][index]
        return f"{self.prefix}{node}:{index}"


def inlined(
    nodes: Iterable[Any], functions: Iterable[Any], outputs: Iterable[str]
) -> tuple[list[Any], dict[str, str]]:
    """The nodes that outputs depend on, without calls, each after what it reads.

    Returns:
        The nodes, and what each output is called among them.

    Raises:
        ArtifactError: A function calls itself, or one is not there.
    """
    names = list(outputs)
    library = {function.signature.name: function for function in functions}
    scope = _Scope()
    found = list(_expanded(list(reached(nodes, names)), library, scope, 0))
    return found, {name: scope.resolved(name) for name in names}


def _expanded(
    nodes: Iterable[Any], library: Mapping[str, Any], scope: _Scope, depth: int
) -> Iterator[Any]:
    for node in nodes:
        inputs = [scope.resolved(name) for name in node.input if not name.startswith("^")]
        if node.op not in CALLS:
            copy = node_def_pb2.NodeDef()
            copy.CopyFrom(node)
            copy.name = f"{scope.prefix}{node.name}"
            copy.input[:] = inputs
            copy.attr.pop("_class", None)  # names neighbours that are called otherwise here
            yield copy
            continue
        function = library.get(node.attr["f"].func.name)
        if function is None or depth == MAX_DEPTH:
            raise ArtifactError(f"its function {node.attr['f'].func.name} cannot be followed")
        arguments = (argument.name for argument in function.signature.input_arg)
        inner = _Scope(f"{scope.prefix}{node.name}/", dict(zip(arguments, inputs, strict=False)))
        returned = [function.ret[output.name] for output in function.signature.output_arg]
        body = reached(function.node_def, [node_name(name) for name in returned])
        yield from _expanded(body, library, inner, depth + 1)
        scope.given[node.name] = [inner.resolved(name) for name in returned]
