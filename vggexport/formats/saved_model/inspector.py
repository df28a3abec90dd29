"""SavedModel directories, read without their variables and without running anything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import op_def_pb2, types_pb2

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError
from vggexport.formats.foreign import told
from vggexport.formats.saved_model import graph as graphs
from vggexport.formats.saved_model.foreign import read_foreign, serving
from vggexport.quantization.audit import Operator
from vggexport.results.build import Inspection, TensorDescription
from vggexport.system.digests import files_of

_KERNEL_INPUTS = {"Conv2D": 1, "DepthwiseConv2dNative": 1, "MatMul": 1}
"""Which input of an operator is its kernel."""

_PASSIVE = frozenset({"Identity", "IdentityN", "NoOp", "Pack", "Placeholder", "Shape",
                      "StopGradient", "StridedSlice"})  # fmt: skip
"""Operators that compute nothing of the network: names for tensors, and the shapes of reshapes."""

_VARIABLES = frozenset({"VarHandleOp", "Variable", "VariableV2"})

_FREE_BATCH = "batch"
_FLOAT32_BYTES = 4
_RESOURCE = types_pb2.DT_RESOURCE


def inspect_saved_model(path: Path) -> Inspection:
    """Reads what a directory says of itself and lists the operators of ``serving_default``.

    TensorFlow fuses operators only when it runs them, so the list is that of the file. The
    directory may hold versions of it, in TensorFlow Serving's layout.

    Raises:
        ArtifactError: The directory cannot be read, is no SavedModel, or has no
            ``serving_default``.
    """
    folder = graphs.saved_model_folder(path)
    graph = graphs.read_graph(folder)
    signature = serving(graph.signature_def)
    if signature is None:
        raise ArtifactError(
            f"{path} has no signature {graphs.SERVING_SIGNATURE!r}: it is not for serving"
        )
    outputs = [tensor.name for tensor in signature.outputs.values()]
    nodes = list(graphs.reached(graph.graph_def.node, outputs))
    described = graphs.read_artifact(folder)
    artifact = described and described.located(folder)
    foreign, refusal = None, ""
    if artifact is None:
        foreign, refusal = told(lambda: read_foreign(path, folder, graph).artifact)
    else:
        _check_variables(folder, artifact)
    return Inspection(
        artifact=artifact,
        inputs=_describe(signature.inputs),
        outputs=_describe(signature.outputs),
        operators=tuple(_operators(nodes, graph)),
        parameters=_parameters(nodes) if artifact is None else artifact.spec.parameters,
        size_bytes=sum(file.stat().st_size for file in files_of(folder)),
        recognized=foreign,
        refusal=refusal,
    )


def _check_variables(folder: Path, artifact: Artifact) -> None:
    """Whether the variables can be there; they are not read."""
    variables = folder / "variables"
    stored = sum(part.stat().st_size for part in variables.glob("variables.data-*"))
    expected = artifact.spec.parameters * _FLOAT32_BYTES
    if stored < expected or not (variables / "variables.index").is_file():
        raise ArtifactError(
            f"{folder} is not whole: its variables have {stored:,} of {expected:,} bytes, or lack "
            "their index; copy or export it again"
        )


def _describe(tensors: Mapping[str, Any]) -> tuple[TensorDescription, ...]:
    """Inputs or outputs of a signature, by name: its maps have no order."""
    return tuple(
        TensorDescription(name, _dtype_name(tensor.dtype), _shape(tensor.tensor_shape))
        for name, tensor in sorted(tensors.items())
    )


def _shape(shape: Any) -> tuple[int | str, ...]:
    """Sizes; a free one is the batch in front and "?" elsewhere."""
    sizes = [dim.size if dim.size >= 0 else "?" for dim in shape.dim]
    return tuple(_FREE_BATCH if (i, size) == (0, "?") else size for i, size in enumerate(sizes))


def _operators(nodes: Iterable[Any], graph: Any) -> Iterator[Operator]:
    """Every operator that computes on the images, functions being replaced by what is in them."""
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    definitions = {op.name: op for op in graph.meta_info_def.stripped_op_list.op}
    for node in _on_data(nodes, functions, set()):
        if node.op not in _PASSIVE:
            yield _operator(node, definitions.get(node.op, op_def_pb2.OpDef()))


def _operator(node: Any, definition: Any) -> Operator:
    inputs = _dtypes(definition.input_arg, node, definition)
    kernel = _KERNEL_INPUTS.get(node.op, len(inputs))
    return Operator(
        node.name,
        node.op,
        inputs,
        _dtypes(definition.output_arg, node, definition),
        inputs[kernel] if kernel < len(inputs) else None,
    )


def _on_data(nodes: Iterable[Any], functions: Mapping[str, Any], data: set[str]) -> Iterator[Any]:
    """The nodes that depend on data, not on weights alone; of those that call, what is called."""
    for node in nodes:
        inputs = {graphs.node_name(name) for name in node.input if not name.startswith("^")}
        if node.op != "Placeholder" and not inputs & data:
            continue
        data.add(node.name)
        called = [name for name in graphs.called_functions(node) if name in functions]
        for name in called:
            others = {key: value for key, value in functions.items() if key != name}  # no recursion
            yield from _on_data(functions[name].node_def, others, _arguments(functions[name]))
        if not called:
            yield node


def _arguments(function: Any) -> set[str]:
    """Names of a function's arguments but for the variables that it captured."""
    return {arg.name for arg in function.signature.input_arg if arg.type != _RESOURCE}


def _dtypes(arguments: Iterable[Any], node: Any, definition: Any) -> tuple[str, ...]:
    """Data types of an operator's inputs or outputs, as its definition finds them."""
    defaults = {attribute.name: attribute.default_value for attribute in definition.attr}
    attributes = {**defaults, **node.attr}
    dtypes: list[int] = []
    for argument in arguments:
        if argument.type_list_attr:
            dtypes += attributes[argument.type_list_attr].list.type
            continue
        dtype = attributes[argument.type_attr].type if argument.type_attr else argument.type
        dtypes += [dtype] * (attributes[argument.number_attr].i if argument.number_attr else 1)
    return tuple(map(_dtype_name, dtypes))


def _parameters(nodes: Iterable[Any]) -> int:
    """Values of all variables that the outputs depend on."""
    shapes = (node.attr["shape"].shape for node in nodes if node.op in _VARIABLES)
    return sum(math.prod(max(dim.size, 0) for dim in shape.dim) for shape in shapes)


def _dtype_name(number: int) -> str:
    """The type's usual name, or nothing for one that TensorFlow does not know."""
    try:
        return str(tf.as_dtype(number).name)
    except TypeError:
        return ""
