"""SavedModels of other converters: what they take and give, and the way in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError
from vggexport.formats import foreign
from vggexport.formats.recognition import Step, StepKind, last_activation
from vggexport.formats.saved_model.graph import (
    SERVING_SIGNATURE,
    VARIABLES_PREFIX,
    node_name,
    reached,
)
from vggexport.formats.saved_model.inlining import inlined
from vggexport.network.ends import Ends
from vggexport.network.layers import OUTPUT_NAME
from vggexport.precision import Precision
from vggexport.system.stderr_capture import silenced_stderr

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_INITIALIZER = "__saved_model_init_op"
_KINDS: Mapping[str, StepKind] = {
    **dict.fromkeys(
        ("Add", "AddV2", "BiasAdd", "Sub", "Mul", "RealDiv", "FusedBatchNormV3"), StepKind.SCALE
    ),
    **dict.fromkeys(
        ("Identity", "Reshape", "Squeeze", "ExpandDims", "Transpose", "Cast"), StepKind.MOVE
    ),
    "Relu": StepKind.RELU,
    "Softmax": StepKind.SOFTMAX,
    "Sigmoid": StepKind.SIGMOID,
}
_REDUCTIONS = {"Mean": StepKind.AVERAGE, "Max": StepKind.MAX}
_SHAPES = frozenset({"Shape", "Size"})
_TO_A_VALUE = frozenset({"Identity", "ReadVariableOp", "Cast", "Reshape"})
_SPATIAL = ({1, 2}, {-3, -2})


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """A SavedModel of another converter.

    Attributes:
        artifact: What is known of it.
        graph: Without functions but those that restore variables.
        source: The tensor that takes images.
        layers: Where each layer that can be read is; the scores, too.
        variables: Tensor of the checkpoint by variable, where it tells of all that are read. What
            restores them in the file may know copies of them only.
    """

    artifact: Artifact
    graph: Any
    source: str
    layers: Mapping[str, str]
    variables: Mapping[str, str]


def read_foreign(path: Path, folder: Path, model: Any) -> ForeignModel:
    """What a SavedModel of another converter is.

    Raises:
        ArtifactError: It is not one that runs here.
    """
    signature = serving(model.signature_def)
    if signature is None:
        has = ", ".join(sorted(model.signature_def)) or "none"
        raise foreign.not_taken(path, f"it has no signature {SERVING_SIGNATURE!r}, but {has}")
    source = signature.inputs[foreign.only(path, "input", sorted(signature.inputs))]
    output = signature.outputs[foreign.only(path, "output", sorted(signature.outputs))]
    whole = model.graph_def
    try:
        nodes, names = inlined(whole.node, whole.library.function, [output.name])
    except (ArtifactError, IndexError, KeyError, ValueError) as error:
        raise foreign.not_taken(path, f"its graph cannot be followed: {error}") from error
    foreign.check_sizes(path, _declared(nodes))
    found = _ForeignNodes(nodes)
    graph = _ends(path, source, output, found, names[output.name])
    artifact, places = foreign.foreign_artifact(path, "savedmodel", graph)
    part = graph_pb2.GraphDef(versions=whole.versions, library=whole.library)
    part.node.extend(nodes)
    kept = {node.name for node in nodes}
    restored = reached(whole.node, [model.saver_def.restore_op_name])
    part.node.extend(node for node in restored if node.name not in kept)
    layers = {name: f"{step.output}:0" for name, step in places.items()}
    layers[OUTPUT_NAME] = names[output.name]
    return ForeignModel(artifact, part, source.name, layers, _stored(folder, nodes))


def _stored(folder: Path, nodes: Sequence[Any]) -> dict[str, str]:
    """Where the checkpoint has each variable, by the names that it says they had; all, or none."""
    named = {
        node.name: node.attr["shared_name"].s.decode() for node in nodes if node.op == "VarHandleOp"
    }
    if not named:
        return {}
    try:
        with silenced_stderr():
            checkpoint = tf.train.load_checkpoint(str(folder / VARIABLES_PREFIX))
            graph = TrackableObjectGraph.FromString(checkpoint.get_tensor(_OBJECT_GRAPH))
    except (tf.errors.OpError, DecodeError, RuntimeError, ValueError):
        return {}  # of an older kind: the file restores its variables itself
    keys = {a.full_name: a.checkpoint_key for node in graph.nodes for a in node.attributes}
    found = {node: keys[name] for node, name in named.items() if name in keys}
    return found if len(found) == len(named) else {}


def serving(signatures: Mapping[str, Any]) -> Any | None:
    """The signature that answers: the one for serving, or the only one; None for neither."""
    names = [name for name in sorted(signatures) if name != _INITIALIZER]
    if SERVING_SIGNATURE in names:
        return signatures[SERVING_SIGNATURE]
    return signatures[names[0]] if len(names) == 1 else None


def _declared(nodes: Sequence[Any]) -> Iterator[tuple[str, Sequence[int], int]]:
    """Sizes of constants and variables."""
    for node in nodes:
        shape = node.attr["value"].tensor.tensor_shape if node.op == "Const" else None
        if node.op in {"VarHandleOp", "Placeholder"}:
            shape = node.attr["shape"].shape
        if shape is not None:
            width = tf.as_dtype(node.attr["dtype"].type).size or 1
            yield node.name, [dim.size for dim in shape.dim if dim.size > 0], width


def _ends(
    path: Path, source: Any, output: Any, nodes: _ForeignNodes, scores: str
) -> foreign.ForeignGraph:
    dtype = tf.as_dtype(source.dtype).name
    foreign.check_dtype(path, source.name, dtype)
    if dtype == "int8":
        raise foreign.not_taken(path, f"its input {source.name} is int8 without a scale")
    if not tf.as_dtype(output.dtype).is_floating:
        raise foreign.not_taken(path, f"its output {output.name} is not float: expected scores")
    batch, size, layout = foreign.image_shape(path, source.name, _shape(source.tensor_shape))
    classes = foreign.class_count(path, output.name, _shape(output.tensor_shape))
    operators = nodes.data_path(node_name(source.name), node_name(scores))
    steps = operators and list(nodes.steps(operators))
    last = last_activation(steps) if steps else nodes.last(node_name(scores))
    ends = Ends(
        source.name,
        output.name,
        size,
        classes,
        dtype,
        layout,
        head_activation=foreign.activation_for(classes, last),
        gives_logits=last is None,
    )
    return foreign.ForeignGraph(ends, batch, Precision.FLOAT32, steps)


def _shape(shape: Any) -> tuple[int | None, ...]:
    return tuple(dim.size if dim.size >= 0 else None for dim in shape.dim)


class _ForeignNodes:
    """Nodes without calls, by name."""

    def __init__(self, nodes: Sequence[Any]) -> None:
        self._nodes = nodes
        self._by_name = {node.name: node for node in nodes}

    def data_path(self, source: str, output: str) -> list[Any] | None:
        """The operators from the image to the scores; None where they are no chain."""
        reads = {
            n.name: [node_name(i) for i in n.input if n.op not in _SHAPES] for n in self._nodes
        }
        operators = [(node, reads[node.name], [node.name]) for node in self._nodes]
        return foreign.data_path(source, output, operators)

    def last(self, output: str) -> Any:
        """What a graph that is no chain ends in."""
        for _ in self._nodes:
            node = self._by_name.get(output)
            if node is None:
                break
            if _KINDS.get(node.op) is not StepKind.MOVE:
                return last_activation(list(self.steps([node])))
            output = node_name(node.input[0])
        return None

    def steps(self, path: Sequence[Any]) -> Iterator[Step]:
        """What each of them does."""
        for node in path:
            kind, shape = self._kind(node)
            yield Step(kind, node.name, shape)

    def _kind(self, node: Any) -> tuple[StepKind, tuple[int, ...]]:
        if node.op == "Conv2D":
            shape = self._kernel_shape(node)
            return (StepKind.CONVOLUTION, shape) if _is_plain(node) else (StepKind.OTHER, ())
        if node.op == "MatMul":
            shape = self._kernel_shape(node)
            turned = shape[::-1] if node.attr["transpose_b"].b else shape
            return (StepKind.OTHER if node.attr["transpose_a"].b else StepKind.MATRIX), turned
        if node.op == "MaxPool":
            windows = [*node.attr["ksize"].list.i, *node.attr["strides"].list.i]
            return (StepKind.POOL if windows == [1, 2, 2, 1] * 2 else StepKind.OTHER), ()
        if node.op in _REDUCTIONS:
            axes = self._by_name.get(self._origin(node.input[1]))
            if axes is None or axes.op != "Const":
                return StepKind.OTHER, ()
            given = set(map(int, tf.make_ndarray(axes.attr["value"].tensor).reshape(-1)))
            return (_REDUCTIONS[node.op] if given in _SPATIAL else StepKind.OTHER), ()
        return _KINDS.get(node.op, StepKind.OTHER), ()

    def _kernel_shape(self, node: Any) -> tuple[int, ...]:
        """Of the variable or constant that an operator multiplies with; empty if it is neither."""
        origin = self._by_name.get(self._origin(node.input[1]))
        if origin is None or origin.op not in {"VarHandleOp", "Const"}:
            return ()
        is_constant = origin.op == "Const"
        attribute = origin.attr["value"].tensor.tensor_shape if is_constant else None
        shape = origin.attr["shape"].shape if attribute is None else attribute
        return tuple(dim.size for dim in shape.dim)

    def _origin(self, name: str) -> str:
        for _ in self._nodes:
            node = self._by_name.get(node_name(name))
            if node is None or node.op not in _TO_A_VALUE:
                break
            name = node.input[0]
        return node_name(name)


def _is_plain(node: Any) -> bool:
    """Stride 1, same padding, every channel of every other."""
    ones = {*node.attr["strides"].list.i, *node.attr["dilations"].list.i}
    return ones == {1} and node.attr["padding"].s == b"SAME"
