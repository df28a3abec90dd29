"""TensorFlow SavedModel directories, in a session of TensorFlow's own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework import graph_pb2

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError, one_line
from vggexport.formats.runner import Images, Prepared, Runner, as_input, check_ends, does_not_run
from vggexport.formats.saved_model.graph import (
    LAYERS_SIGNATURE,
    SERVING_SIGNATURE,
    VARIABLES_PREFIX,
    functions_called,
    reached,
    read_artifact,
    read_graph,
    saved_model_folder,
)
from vggexport.network.layers import INPUT_NAME, OUTPUT_NAME
from vggexport.system.process import limited_threads
from vggexport.system.stderr_capture import silenced_stderr

OPERATORS = frozenset(
    {
        # what a network computes
        "AddV2", "BiasAdd", "Cast", "Conv2D", "Max", "MatMul", "MaxPool", "Mean", "Relu", "Sigmoid",
        "Softmax", "Sub",
        "Pack", "Reshape", "Shape", "Squeeze", "StridedSlice", "Transpose",
        # what holds it together
        "Const", "Identity", "IdentityN", "NoOp", "PartitionedCall", "Placeholder",
        "StatefulPartitionedCall",
        # its variables
        "AssignVariableOp", "ReadVariableOp", "RestoreV2", "VarHandleOp",
    }
)  # fmt: skip
"""What is run of a file. A SavedModel is a program: other operators write files or call Python."""

_ERRORS = (tf.errors.OpError, ValueError, TypeError, KeyError)
"""What TensorFlow raises about a graph, its variables or an input."""


class SavedModelRunner(Runner):
    """A SavedModel directory, or one with versions of it, on TensorFlow's CPU kernels.

    Nothing of a file is run but operators of :data:`OPERATORS`, and no initializer of the file's.

    Args:
        path: The directory.
        threads: Threads inside an operator and operators at a time; 0 for one a core. They are the
            runner's own where no other part of the process started TensorFlow without
            ``TF_OVERRIDE_GLOBAL_THREADPOOL``, which ``vggexport.system.lazy_imports`` sets.

    Raises:
        ArtifactError: TensorFlow cannot read the directory, or it is not one of ours.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        self.runtime = f"tensorflow {tf.__version__}"
        self.provider = "CPU"
        self.threads = threads
        self.artifact: Artifact | None = None
        self._path = path
        self._session: Any = None
        self._signatures: Mapping[str, Any] = {}

    def __enter__(self) -> Self:
        folder = saved_model_folder(self._path)
        graph = read_graph(folder)
        self._signatures = graph.signature_def
        self._check_signatures()
        self.artifact = read_artifact(folder)
        self._session = self._open(
            self._runnable(graph), graph.saver_def, folder / VARIABLES_PREFIX
        )
        return self

    def close(self) -> None:
        """Lets go of the network and its memory."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name, NHWC before the flattening; the probabilities from any file of ours."""
        wanted = list(names)
        if not wanted:
            return {}
        signature = self._signature(wanted)
        source = signature.inputs[INPUT_NAME]
        pixels = self._pixels(images, source)
        fetches = [signature.outputs[name].name for name in wanted]
        try:
            values = self._session.run(fetches, {source.name: pixels})
        except _ERRORS as error:
            raise does_not_run(self._path, images, one_line(error)) from error
        return dict(zip(wanted, values, strict=True))

    def provider_options(self) -> dict[str, str]:
        """Whether TensorFlow has oneDNN's kernels, which is read when it starts."""
        return {name: os.environ[name] for name in ("TF_ENABLE_ONEDNN_OPTS",) if name in os.environ}

    def prepare(self, images: Images) -> Prepared:
        """The session's callable from images to probabilities."""
        signature = self._signature([OUTPUT_NAME])
        source = signature.inputs[INPUT_NAME]
        call = self._session.make_callable(signature.outputs[OUTPUT_NAME].name, [source.name])
        run = partial(call, self._pixels(images, source))
        return Prepared(run, lambda: np.array(run()))

    def _signature(self, wanted: list[str]) -> Any:
        """The signature that has the outputs."""
        if set(wanted) == {OUTPUT_NAME}:
            return self._signatures[SERVING_SIGNATURE]
        if LAYERS_SIGNATURE not in self._signatures:
            raise ArtifactError(
                f"{self._path} has no signature {LAYERS_SIGNATURE!r} and gives {OUTPUT_NAME} only: "
                "not made by vggexport"
            )
        signature = self._signatures[LAYERS_SIGNATURE]
        if unknown := [name for name in wanted if name not in signature.outputs]:
            raise ArtifactError(f"{self._path} has no layer {', '.join(unknown)}")
        return signature

    def _pixels(self, images: Images, source: Any) -> Images:
        """The images in the type that the signature takes, of a shape that it takes."""
        shape = tf.TensorShape(source.tensor_shape)
        if not shape.is_compatible_with(images.shape):
            raise does_not_run(self._path, images, f"it takes {shape}")
        return as_input(images, tf.as_dtype(source.dtype).as_numpy_dtype)

    def _check_signatures(self) -> None:
        serving = self._signatures[SERVING_SIGNATURE]  # a missing one is read as an empty one
        layers = self._signatures.get(LAYERS_SIGNATURE, serving)
        check_ends(self._path, [*serving.inputs, *serving.outputs])
        check_ends(self._path, [*layers.inputs, OUTPUT_NAME])

    def _runnable(self, graph: Any) -> Any:
        """The part of the graph that restores variables and computes, and no node beside it.

        Raises:
            ArtifactError: It has an operator that is not in :data:`OPERATORS`.
        """
        outputs = [graph.saver_def.restore_op_name]
        for name in (SERVING_SIGNATURE, LAYERS_SIGNATURE):
            if name in self._signatures:
                outputs += [tensor.name for tensor in self._signatures[name].outputs.values()]
        whole, part = graph.graph_def, graph_pb2.GraphDef(versions=graph.graph_def.versions)
        part.node.extend(reached(whole.node, outputs))
        part.library.function.extend(functions_called(part.node, whole.library.function))
        for node in chain(part.node, *(f.node_def for f in part.library.function)):
            if node.op not in OPERATORS:
                raise ArtifactError(
                    f"{self._path} holds an operator {node.op} ({node.name}), which is not run "
                    "here: not made by vggexport"
                )
        return part

    def _open(self, graph: Any, saver: Any, variables: Path) -> Any:
        """A session with the variables in it."""
        failure = None
        with silenced_stderr():
            try:
                threads = self.threads or limited_threads()
                return _open_session(graph, saver, variables, threads)
            except _ERRORS as error:  # caught in here: what leaves this block is not silent
                failure = error
        raise ArtifactError(
            f"{self._path} is not a SavedModel that TensorFlow reads: {one_line(failure)}"
        ) from failure


def _open_session(graph: Any, saver: Any, variables: Path, threads: int) -> Any:
    """A session with the variables restored.

    ``tf.compat.v1.saved_model.load`` does the same, and runs what the file calls its initializer.
    """
    options = tf.compat.v1.ConfigProto(
        device_count={"GPU": 0},
        use_per_session_threads=True,
        intra_op_parallelism_threads=threads,
        inter_op_parallelism_threads=threads,
    )
    with tf.Graph().as_default() as imported:
        tf.graph_util.import_graph_def(graph, name="")
    session = tf.compat.v1.Session(graph=imported, config=options)
    try:
        session.run(saver.restore_op_name, {saver.filename_tensor_name: str(variables)})
    except BaseException:
        session.close()
        raise
    return session
