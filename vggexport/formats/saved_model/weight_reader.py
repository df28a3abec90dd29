"""The weights of a SavedModel directory, found by the operators that read them.

Nothing of it is run. Its graph says which variable an operator reads, and which tensor of the
checkpoint is restored into that variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from vggexport.errors import ArtifactError, one_line
from vggexport.formats.model_weights import ModelWeights
from vggexport.formats.saved_model import graph as graphs
from vggexport.network.layers import MEAN_SUBTRACTION_NAME, Layer
from vggexport.system.stderr_capture import silenced_stderr

_PASSIVE = frozenset({"Identity", "ReadVariableOp", "Reshape", "Squeeze"})
"""Operators that give a weight on as it is."""

_CHECKPOINT_ERRORS = (tf.errors.OpError, RuntimeError, ValueError)
"""What TensorFlow raises about a checkpoint."""


@dataclass(frozen=True, slots=True)
class _Body:
    """A function, or the graph around all of them.

    Attributes:
        nodes: By name.
        arguments: The graph's nodes that a function's arguments stand for, by the arguments' names.
    """

    nodes: Mapping[str, Any]
    arguments: Mapping[str, str]

    def origin(self, tensor_name: str) -> str:
        """The tensor that a weight comes from: of a node in here, or the graph's own."""
        for _ in self.nodes:  # no more steps than there are nodes
            node = self.nodes.get(graphs.node_name(tensor_name))
            if node is None or node.op not in _PASSIVE:
                break
            tensor_name = node.input[0]
        return self.arguments.get(tensor_name, tensor_name)

    def constant(self, tensor_name: str) -> NDArray[Any]:
        """The value of a constant in here."""
        array: NDArray[Any] = tf.make_ndarray(
            self.nodes[graphs.node_name(tensor_name)].attr["value"].tensor
        )
        return array


class SavedModelWeights(ModelWeights):
    """The weights of a SavedModel directory, or of the newest version in one.

    A layer's operators are those that ``serving_default`` reaches in the scope of its name.

    Raises:
        ArtifactError: It cannot be read, is no SavedModel, or is not one of ours.
    """

    def __init__(self, path: Path) -> None:
        folder = graphs.saved_model_folder(path)
        self._graph = graphs.read_graph(folder)
        super().__init__(path, graphs.read_artifact(folder))
        self._checkpoint = self._open(folder / graphs.VARIABLES_PREFIX)

    @cached_property
    def _operators_by_place(self) -> dict[tuple[str, str], tuple[Any, _Body]]:
        """Nodes and where they are, by scope and type of operator."""
        outputs = self._graph.signature_def[graphs.SERVING_SIGNATURE].outputs.values()
        return {
            (node.name.rpartition("/")[0], node.op): (node, body)
            for body in _bodies(self._graph, [tensor.name for tensor in outputs])
            for node in body.nodes.values()
        }

    @cached_property
    def _keys(self) -> dict[str, str]:
        """Names of tensors in the checkpoint, by the variables that they are restored into."""
        return {
            graphs.node_name(body.origin(node.input[0])): _restored(
                body.origin(node.input[1]), body
            )
            for body in _bodies(self._graph, [self._graph.saver_def.restore_op_name])
            for node in body.nodes.values()
            if node.op == "AssignVariableOp"
        }

    @property
    def operators(self) -> tuple[tuple[str, str], ...]:
        """Scope and type of every node that the default signature reaches."""
        return tuple(self._operators_by_place)

    def _mean(self) -> NDArray[np.float32]:
        node, body = self._operator(MEAN_SUBTRACTION_NAME, "Sub")
        return body.constant(body.origin(node.input[1]))

    def _kernel(self, layer: Layer) -> NDArray[np.float32]:
        node, body = self._operator(layer.name, "MatMul" if layer.is_matrix else "Conv2D")
        kernel = self._variable(body.origin(node.input[1]))
        return kernel.T if node.attr["transpose_b"].b else kernel

    def _bias(self, layer: Layer) -> NDArray[np.float32]:
        # Keras adds a bias of one value as it adds anything.
        kind = "BiasAdd" if layer.bias.size > 1 else "AddV2"
        node, body = self._operator(layer.name, kind)
        return self._variable(body.origin(node.input[1]))

    def _operator(self, scope: str, kind: str) -> tuple[Any, _Body]:
        if (scope, kind) not in self._operators_by_place:
            raise self._missing(f"{scope} ({kind})")
        return self._operators_by_place[scope, kind]

    def _variable(self, name: str) -> NDArray[np.float32]:
        variable = graphs.node_name(name)
        if variable not in self._keys:
            raise ValueError(f"{variable} is not a variable that is restored")
        try:
            with silenced_stderr():
                array: NDArray[np.float32] = self._checkpoint.get_tensor(self._keys[variable])
        except _CHECKPOINT_ERRORS as error:
            raise ValueError(one_line(error)) from error
        return array

    def _open(self, prefix: Path) -> Any:
        """A reader of the checkpoint, which has its index and no values yet."""
        try:
            return tf.train.load_checkpoint(str(prefix))
        except _CHECKPOINT_ERRORS as error:
            raise ArtifactError(
                f"{self.path} has no variables that can be read: {one_line(error)}"
            ) from error


def _restored(tensor_name: str, body: _Body) -> str:
    """Name in the checkpoint of "RestoreV2:tensors:3"."""
    names = body.constant(body.nodes[graphs.node_name(tensor_name)].input[1])
    return str(names[int(tensor_name.rpartition(":")[2])].decode())


def _bodies(graph: Any, outputs: list[str]) -> Iterator[_Body]:
    """The part of the graph that the outputs depend on, and every function called in it."""
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    nodes = {node.name: node for node in graphs.reached(graph.graph_def.node, outputs)}
    waiting = [_Body(nodes, {})]
    while waiting:
        body = waiting.pop()
        yield body
        for node in body.nodes.values():
            called = [
                functions.pop(name, None) for name in graphs.called_functions(node)
            ]  # each once
            waiting += [_called(function, node, body) for function in called if function]


def _called(function: Any, call: Any, caller: _Body) -> _Body:
    given = [caller.origin(name) for name in call.input if not name.startswith("^")]
    names = [argument.name for argument in function.signature.input_arg]
    nodes = {node.name: node for node in function.node_def}
    return _Body(nodes, dict(zip(names, given, strict=False)))
