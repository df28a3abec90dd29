"""TensorFlow SavedModel: a directory with the graph, the variables and what we say of them.

TensorFlow writes the directory from variables of our own and two functions traced through the
valueless architecture, so that nothing of Keras is in it and each weight is stored once. What
differs from run to run in ``saved_model.pb`` is taken out afterwards.
"""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from vggexport.artifact import Artifact
from vggexport.errors import InputError
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.keras.model import build_architecture, call_layer, tensor_from
from vggexport.formats.saved_model import graph as graphs
from vggexport.network.layers import INPUT_NAME, OUTPUT_NAME
from vggexport.network.spec import VGGSpec
from vggexport.precision import Precision
from vggexport.system.stderr_capture import silenced_stderr
from vggexport.weights import Weights

_FINGERPRINT_FILE = "fingerprint.pb"

Variables = Mapping[str, Mapping[str, tf.Variable]]
"""A layer's variables by the layer's name: "kernel" and "bias"."""


class SavedModelExporter:
    """Writes SavedModel directories."""

    def export(self, request: ExportRequest, path: Path) -> None:
        """Writes one directory, with a pass over the weights.

        Its signatures take ``images``, NHWC in the artifact's input type. ``serving_default`` gives
        ``probabilities``, float32 (batch, classes); ``layers`` gives every layer of the spec by its
        name, whatever taps the request names. The same request gives the same bytes. The directory
        does not exist yet, the network is a float32 one.

        Raises:
            InputError: Another precision is asked for.
            OSError: The file system's errors, as they are.
        """
        artifact = request.artifact
        if artifact.precision is not Precision.FLOAT32:
            raise InputError(
                f"there is no SavedModel in {artifact.precision.value}: use onnx or tflite"
            )
        _write(artifact, request.weights, path)
        gc.collect()  # module and functions hold each other, and with them every variable
        _make_reproducible(path)
        _describe(artifact, path)


def _write(artifact: Artifact, weights: Weights, path: Path) -> None:
    network = tf.Module()
    network.weights = _variables(artifact.spec, weights)
    layers = build_architecture(artifact.spec).layers
    _save(network, path, _signatures(artifact, layers, network.weights))


def _variables(spec: VGGSpec, weights: Weights) -> Variables:
    """All weights as variables; the memory is that of their float32 values, once."""
    return {
        layer.name: {
            tensor.name.removeprefix(f"{layer.name}/"): tf.Variable(
                tensor_from(weights[tensor.name]), name=tensor.name
            )
            for tensor in layer.tensors
        }
        for layer in spec.weighted_layers
    }


def _signatures(artifact: Artifact, layers: list[Any], variables: Variables) -> dict[str, Any]:
    """The traced functions by the names of their signatures."""
    spec = artifact.spec
    images = tf.TensorSpec(
        (artifact.batch, *spec.image_shape),
        tf.dtypes.as_dtype(artifact.input_dtype),
        name=INPUT_NAME,
    )

    def traced(names: frozenset[str]) -> Any:
        def network(images: tf.Tensor) -> dict[str, tf.Tensor]:
            outputs = _outputs(layers, variables, images)
            return {name: values for name, values in outputs if name in names}

        return tf.function(network, autograph=False).get_concrete_function(images)

    return {
        graphs.SERVING_SIGNATURE: traced(frozenset({OUTPUT_NAME})),
        graphs.LAYERS_SIGNATURE: traced(frozenset(layer.name for layer in spec.layers)),
    }


def _outputs(
    layers: list[Any], variables: Variables, images: tf.Tensor
) -> Iterator[tuple[str, tf.Tensor]]:
    """Every Keras layer's name and output, in order. Dropout does nothing here."""
    values = tf.cast(images, tf.float32)
    for layer in layers:
        if layer.name == INPUT_NAME:
            continue
        weights = [variables[layer.name][variable.name] for variable in layer.trainable_variables]
        with tf.name_scope(layer.name):
            values = call_layer(layer, weights, values)
        yield layer.name, values


def _save(network: tf.Module, path: Path, signatures: Mapping[str, Any]) -> None:
    """TensorFlow's own writer, without what it prints and with the system's errors."""
    failure = None
    with silenced_stderr():
        try:
            tf.saved_model.save(network, path, signatures)
        except tf.errors.OpError as error:  # caught in here: what leaves this block is not silent
            failure = error
    if failure is not None:
        raise _system_error(failure) from failure


def _system_error(error: tf.errors.OpError) -> OSError:
    """What the system said. TensorFlow keeps its words, but not its number."""
    for number in errno.errorcode:
        if os.strerror(number) in error.message:
            return OSError(number, os.strerror(number))
    return OSError(errno.EIO, " ".join(error.message.split()))


def _make_reproducible(path: Path) -> None:
    """Takes out of the graph what TensorFlow counts or draws anew in every run.

    That is the number after each function's name, the variables' numbers kept as names of what
    the functions capture, the order of maps, and the fingerprint's UUID. Nothing needs a
    fingerprint, and one of the graph as it was would be wrong.
    """
    file = path / graphs.GRAPH_FILE
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    (meta_graph,) = model.meta_graphs
    _rename_functions(meta_graph)
    _forget_captures(meta_graph.graph_def.library.function)
    file.write_bytes(model.SerializeToString(deterministic=True))
    (path / _FINGERPRINT_FILE).unlink(missing_ok=True)


def _rename_functions(meta_graph: Any) -> None:
    """Numbers the functions from 0, in the order in which they were made."""
    functions = meta_graph.graph_def.library.function
    functions.sort(key=lambda function: int(function.signature.name.rpartition("_")[2]))
    renamed = {
        function.signature.name: _numbered(function.signature.name, position)
        for position, function in enumerate(functions)
    }
    for function in functions:
        function.signature.name = renamed[function.signature.name]
        _rename_calls(function.node_def, renamed)
    _rename_calls(meta_graph.graph_def.node, renamed)
    _rename_objects(meta_graph.object_graph_def, renamed)


def _numbered(name: str, number: int) -> str:
    """Such as "network_1" for "__inference_network_587": without the prefix it meets no old one."""
    return f"{name.removeprefix('__inference_').rpartition('_')[0]}_{number}"


def _rename_calls(nodes: Iterable[Any], renamed: Mapping[str, str]) -> None:
    for node in nodes:
        for attribute in node.attr.values():
            if attribute.HasField("func"):
                attribute.func.name = renamed[attribute.func.name]


def _rename_objects(objects: Any, renamed: Mapping[str, str]) -> None:
    """Renames in the object graph, where the signatures are found by ``tf.saved_model.load``."""
    for name in list(objects.concrete_functions):
        objects.concrete_functions[renamed[name]].CopyFrom(objects.concrete_functions[name])
        del objects.concrete_functions[name]
    for node in objects.nodes:
        if node.HasField("bare_concrete_function"):
            function = node.bare_concrete_function
            function.concrete_function_name = renamed[function.concrete_function_name]


def _forget_captures(functions: Iterable[Any]) -> None:
    for function in functions:
        for position, argument in enumerate(function.signature.input_arg):
            if argument.type == tf.resource.as_datatype_enum:
                function.arg_attr[position].attr.pop("_user_specified_name", None)


def _describe(artifact: Artifact, path: Path) -> None:
    """The artifact and the labels, where TensorFlow leaves room for files of others."""
    (path / graphs.ARTIFACT_FILE).parent.mkdir()
    (path / graphs.ARTIFACT_FILE).write_text(artifact.embedded(), encoding="utf-8")
    if artifact.labels:
        lines = "".join(f"{label}\n" for label in artifact.labels)
        (path / graphs.LABELS_FILE).write_text(lines, encoding="utf-8")
