"""What is in a SavedModel directory, and its graph, read without running anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError

GRAPH_FILE = "saved_model.pb"
VARIABLES_PREFIX = "variables/variables"
ARTIFACT_FILE = "assets.extra/vggexport.artifact.json"
LABELS_FILE = "assets.extra/labels.txt"

SERVING_SIGNATURE = "serving_default"
LAYERS_SIGNATURE = "layers"
"""Gives the output of every layer by its name."""


def saved_model_folder(path: Path) -> Path:
    """The directory of the graph: ``path`` itself, or the newest version in it.

    TensorFlow Serving keeps versions in subdirectories that are named by numbers, and no other
    directory beside them.

    Raises:
        ArtifactError: ``path`` is no directory.
    """
    try:
        entries = [entry for entry in path.iterdir() if entry.is_dir()]
    except OSError as error:
        raise ArtifactError(f"{path} is not a SavedModel directory: {error.strerror}") from error
    if entries and all(entry.name.isdecimal() for entry in entries):
        return max(entries, key=lambda entry: int(entry.name))
    return path


def read_artifact(folder: Path) -> Artifact | None:
    """What a directory says of itself, without its size and digest; None if it is not ours.

    Raises:
        ArtifactError: It says so in a way that cannot be read.
    """
    file = folder / ARTIFACT_FILE
    if not file.exists():
        return None
    try:
        return Artifact.from_json(json.loads(file.read_bytes()))
    except (OSError, ValueError, ArtifactError) as error:
        raise ArtifactError(f"{folder}: its {ARTIFACT_FILE} is damaged: {error}") from error


def read_graph(folder: Path) -> Any:
    """The graph with its signatures, as a ``MetaGraphDef``; no variable is read and nothing is run.

    Raises:
        ArtifactError: There is none that can be read.
    """
    try:
        model = saved_model_pb2.SavedModel.FromString((folder / GRAPH_FILE).read_bytes())
    except (DecodeError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ArtifactError(
            f"{folder} is not a SavedModel that can be read: {GRAPH_FILE}: {reason}"
        ) from error
    for graph in model.meta_graphs:
        if tf.saved_model.SERVING in graph.meta_info_def.tags:
            return graph
    raise ArtifactError(f"{folder} is not a SavedModel for inference: no graph is tagged serve")


def reached(nodes: Iterable[Any], outputs: Iterable[str]) -> Iterator[Any]:
    """The nodes of a graph or function that the outputs depend on, each after its inputs."""
    by_name = {node.name: node for node in nodes}
    stack, seen = [node_name(output) for output in outputs][::-1], set()
    while stack:
        name = stack[-1]
        if name not in seen:
            seen.add(name)
            inputs = map(node_name, by_name[name].input if name in by_name else ())
            stack.extend([name for name in inputs if name not in seen][::-1])
            continue
        stack.pop()
        if node := by_name.pop(name, None):  # a second time, or an argument of the function
            yield node


def node_name(tensor_name: str) -> str:
    """The node of "node:0", "node:output:0" or, as a control input, "^node"."""
    return tensor_name.removeprefix("^").partition(":")[0]


def called_functions(node: Any) -> list[str]:
    """Names of the functions that a node calls."""
    attributes = node.attr.values()
    names = [attribute.func.name for attribute in attributes if attribute.HasField("func")]
    return names + [func.name for attribute in attributes for func in attribute.list.func]


def functions_called(nodes: Iterable[Any], functions: Iterable[Any]) -> Iterator[Any]:
    """The functions that the nodes call, and those that these call, each once."""
    uncalled = {function.signature.name: function for function in functions}
    waiting = list(nodes)
    while waiting:
        for name in called_functions(waiting.pop()):
            if function := uncalled.pop(name, None):
                yield function
                waiting += function.node_def
