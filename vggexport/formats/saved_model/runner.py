"""TensorFlow SavedModel directories, in a session of TensorFlow's own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
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
from vggexport.formats.foreign import feed, scores
from vggexport.formats.runner import Images, Prepared, Runner, check_ends, does_not_run, ends_of
from vggexport.formats.saved_model.foreign import ForeignModel, read_foreign
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
from vggexport.network.ends import Ends
from vggexport.network.layers import INPUT_NAME, OUTPUT_NAME
from vggexport.system.process import limited_threads
from vggexport.system.stderr_capture import silenced_stderr

OPERATORS = frozenset(
    {
        # what a network computes
        "Add", "AddV2", "AvgPool", "BiasAdd", "Cast", "ConcatV2", "Conv2D", "DepthwiseConv2dNative",
        "Elu", "Erf", "Exp", "FusedBatchNormV3", "LeakyRelu", "LogSoftmax", "Max", "MatMul",
        "MaxPool", "Maximum", "Mean", "Minimum", "Mul", "Neg", "Pad", "PadV2", "RealDiv", "Relu",
        "Relu6", "Rsqrt", "Selu", "Sigmoid", "Softmax", "Softplus", "Sqrt", "Square",
        "SquaredDifference", "Sub", "Sum", "Tanh",
        "ExpandDims", "Pack", "Reshape", "Shape", "Squeeze", "StridedSlice", "Transpose",
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
        self._ends: Ends
        self._path = path
        self._session: Any = None
        self._signatures: Mapping[str, Any] = {}
        self._foreign: ForeignModel | None = None

    def __enter__(self) -> Self:
        folder = saved_model_folder(self._path)
        model = read_graph(folder)
        self.artifact = read_artifact(folder)
        if self.artifact is None:
            self._foreign = read_foreign(self._path, folder, model)
            self.artifact = self._foreign.artifact
            graph, outputs = self._foreign.graph, list(self._foreign.layers.values())
        else:
            self._signatures = model.signature_def
            self._check_signatures()
            graph, outputs = model.graph_def, list(self._outputs())
        self._ends = ends_of(self.artifact)
        saver = model.saver_def
        runnable = self._runnable(graph, [saver.restore_op_name, *outputs])
        self._session = self._open(runnable, saver, folder / VARIABLES_PREFIX)
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
        source, fetches = self._route(wanted)
        pixels = self._pixels(images, source)
        try:
            values = self._session.run(fetches, {source: pixels})
        except _ERRORS as error:
            raise does_not_run(self._path, images, one_line(error)) from error
        found = dict(zip(wanted, values, strict=True))
        return {name: self._told(name, value) for name, value in found.items()}

    def provider_options(self) -> dict[str, str]:
        """Whether TensorFlow has oneDNN's kernels, which is read when it starts."""
        return {name: os.environ[name] for name in ("TF_ENABLE_ONEDNN_OPTS",) if name in os.environ}

    def prepare(self, images: Images) -> Prepared:
        """The session's callable from images to probabilities."""
        source, (output,) = self._route([OUTPUT_NAME])
        call = self._session.make_callable(output, [source])
        run = partial(call, self._pixels(images, source))
        return Prepared(run, lambda: scores(run(), self._ends))

    def _told(self, name: str, value: NDArray[Any]) -> NDArray[np.float32]:
        """A layer's value in the spec's shape, in an array of the caller's own."""
        if name == OUTPUT_NAME:
            return scores(value, self._ends)
        if self._foreign and self.artifact:
            shape = self.artifact.spec.layer(name).output_shape
            value = value.reshape(len(value), *shape).astype(np.float32)
        return value

    def _route(self, wanted: Sequence[str]) -> tuple[str, list[str]]:
        """The tensor that takes images, and those of some layers."""
        if self._foreign:
            places = self._foreign.layers
            if unknown := [name for name in wanted if name not in places]:
                raise ArtifactError(f"{self._path} has no layer {', '.join(unknown)}")
            return self._foreign.source, [places[name] for name in wanted]
        signature = self._signature(wanted)
        source: str = signature.inputs[INPUT_NAME].name
        return source, [signature.outputs[name].name for name in wanted]

    def _signature(self, wanted: Sequence[str]) -> Any:
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

    def _pixels(self, images: Images, source: str) -> NDArray[Any]:
        """The images as the input takes them, of a shape that it takes."""
        pixels = feed(images, self._ends)
        shape = self._session.graph.get_tensor_by_name(source).shape
        if not shape.is_compatible_with(pixels.shape):
            raise does_not_run(self._path, images, f"it takes {shape}")
        return pixels

    def _outputs(self) -> Iterator[str]:
        """Names of the tensors that the signatures give."""
        for name in (SERVING_SIGNATURE, LAYERS_SIGNATURE):
            if name in self._signatures:
                yield from (tensor.name for tensor in self._signatures[name].outputs.values())

    def _check_signatures(self) -> None:
        serving = self._signatures[SERVING_SIGNATURE]  # a missing one is read as an empty one
        layers = self._signatures.get(LAYERS_SIGNATURE, serving)
        check_ends(self._path, [*serving.inputs, *serving.outputs])
        check_ends(self._path, [*layers.inputs, OUTPUT_NAME])

    def _runnable(self, whole: Any, outputs: Sequence[str]) -> Any:
        """The part of the graph that restores variables and computes, and no node beside it."""
        part = graph_pb2.GraphDef(versions=whole.versions)
        part.node.extend(whole.node if self._foreign else reached(whole.node, outputs))
        part.library.function.extend(functions_called(part.node, whole.library.function))
        nodes = chain(part.node, *(f.node_def for f in part.library.function))
        if others := [node for node in nodes if node.op not in OPERATORS]:
            node = next((node for node in others if "Random" in node.op), others[0])
            way = (
                "its answers are drawn at random, as by augmentation, which Keras' export() leaves "
                "on: export it without these layers, or with training=False"
                if "Random" in node.op
                else "not made by vggexport, or a layer of one's own"
            )
            raise ArtifactError(
                f"{self._path} holds an operator {node.op} ({node.name}), which is not run here: "
                + way
            )
        return part

    def _open(self, graph: Any, saver: Any, variables: Path) -> Any:
        """A session with the variables in it."""
        failure = None
        with silenced_stderr():
            try:
                session = _new_session(graph, self.threads or limited_threads())
                return _restored(session, saver, variables, self._foreign)
            except _ERRORS as error:  # caught in here: what leaves this block is not silent
                failure = error
        raise ArtifactError(
            f"{self._path} is not a SavedModel that TensorFlow reads: {one_line(failure)}"
        ) from failure


def _new_session(graph: Any, threads: int) -> Any:
    options = tf.compat.v1.ConfigProto(
        device_count={"GPU": 0},
        use_per_session_threads=True,
        intra_op_parallelism_threads=threads,
        inter_op_parallelism_threads=threads,
    )
    with tf.Graph().as_default() as imported:
        tf.graph_util.import_graph_def(graph, name="")
    return tf.compat.v1.Session(graph=imported, config=options)


def _restored(session: Any, saver: Any, variables: Path, foreign: ForeignModel | None) -> Any:
    """A session with its variables restored; it is closed where they cannot be.

    ``tf.compat.v1.saved_model.load`` does the same, and runs what the file calls its initializer.
    """
    with ExitStack() as undo:
        undo.callback(session.close)
        if foreign and foreign.variables:
            session.run(_assigned(session.graph, variables, foreign.variables))
        elif saver.restore_op_name:
            session.run(saver.restore_op_name, {saver.filename_tensor_name: str(variables)})
        undo.pop_all()
    return session


def _assigned(graph: Any, variables: Path, keys: Mapping[str, str]) -> list[Any]:
    """Operators that give each variable its tensor of the checkpoint."""
    with graph.as_default():
        handles = [graph.get_operation_by_name(name) for name in keys]
        values = tf.raw_ops.RestoreV2(
            prefix=str(variables),
            tensor_names=list(keys.values()),
            shape_and_slices=[""] * len(keys),
            dtypes=[handle.get_attr("dtype") for handle in handles],
        )
        return [
            tf.raw_ops.AssignVariableOp(resource=handle.outputs[0], value=value)
            for handle, value in zip(handles, values, strict=True)
        ]
