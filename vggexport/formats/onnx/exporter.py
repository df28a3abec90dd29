"""The ONNX exporter: architecture, precision, weights and metadata into one file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import onnx

from vggexport.artifact import METADATA_KEY, SNAPDRAGON
from vggexport.errors import InputError
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.onnx import variants
from vggexport.formats.onnx.architecture import DEFAULT_OPSET, MAX_OPSET, MIN_OPSET, trace
from vggexport.formats.onnx.bound_weights import bind_float, bind_int4_blocks, bind_int8
from vggexport.formats.onnx.file_writer import write_model
from vggexport.network.layers import LayerKind
from vggexport.precision import WIDE_BITS
from vggexport.quantization.int4 import check_divides
from vggexport.quantization.int8 import ActivationQuantization


class OnnxExporter:
    """Writes ``.onnx`` files."""

    def export(self, request: ExportRequest, path: Path) -> None:
        """Writes one file, with a pass over the weights and one of them in memory at a time.

        Activations in 16 bits are of opset 21, whichever the converter is asked for.

        Raises:
            InputError: The opset is out of range, int8 has no ranges, or the file would be too
                large for protobuf.
            OSError: The file system's errors, as they are.
        """
        opset = DEFAULT_OPSET if request.opset is None else request.opset
        if not MIN_OPSET <= opset <= MAX_OPSET:
            raise InputError(f"opset {opset} is not one of {MIN_OPSET} to {MAX_OPSET}")
        artifact = request.artifact
        model = trace(artifact.spec, opset=opset, batch=artifact.batch)
        arrays = _rewrite(model.graph, request)
        if artifact.activation_bits == WIDE_BITS:
            variants.use_opset(model, variants.WIDE_OPSET)
        if artifact.profile.int4_blocks:
            model.opset_import.append(onnx.helper.make_opsetid(variants.BLOCKWISE_DOMAIN, 1))
        model.producer_version = artifact.tools.get("vggexport", "")
        model.doc_string = request.description
        onnx.helper.set_model_props(model, {METADATA_KEY: artifact.embedded()})
        # The weights are still inputs here, typed and shaped, so the check costs kilobytes.
        onnx.checker.check_model(model, full_check=True)
        model.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, request.taps))
        with path.open("wb") as file:
            write_model(file, model, arrays)


def _rewrite(graph: onnx.GraphProto, request: ExportRequest) -> Iterable[tuple[str, np.ndarray]]:
    """Brings the graph to the precision and input type; returns what its symbols become."""
    spec, weights = request.artifact.spec, request.weights
    if request.artifact.input_dtype == "uint8":
        variants.use_uint8_input(graph)
    if dtype := variants.FLOATS.get(request.artifact.precision):
        variants.use_float(graph, dtype)
        return bind_float(spec, spec.weighted_layers, weights, dtype)
    if not request.artifact.profile.needs_ranges:
        raise InputError(f"there is no ONNX file in {request.artifact.precision.value}")
    return _quantize(graph, request)


def _bind_int8(
    graph: onnx.GraphProto,
    request: ExportRequest,
    activations: Mapping[str, ActivationQuantization],
) -> Iterable[tuple[str, np.ndarray]]:
    """All layers in int8; the last one in float for Qualcomm's NPUs, which give float of no other.

    They compute it in half precision, and quantize nothing of its output.
    """
    spec, weights = request.artifact.spec, request.corrected_weights
    *integer, last = spec.weighted_layers
    if request.artifact.target != SNAPDRAGON:
        variants.use_int8(graph, spec.layers, activations)
        return bind_int8(spec, [*integer, last], weights, activations)
    variants.use_int8(graph, spec.layers[: spec.layers.index(last)], activations)
    bound = bind_int8(spec, integer, weights, activations)
    return chain(bound, bind_float(spec, [last], weights, np.float32))


def _quantize(graph: onnx.GraphProto, request: ExportRequest) -> Iterable[tuple[str, np.ndarray]]:
    spec = request.artifact.spec
    activations = request.activations()
    if not request.artifact.profile.int4_blocks:
        return _bind_int8(graph, request, activations)
    check_divides(spec)
    fully_connected = [layer for layer in spec.weighted_layers if layer.is_matrix]
    convolutions = [layer for layer in spec.weighted_layers if not layer.is_matrix]
    head = spec.layers.index(fully_connected[0])
    # What is flattened is in float already: it is transposed first.
    features = [layer for layer in spec.layers[:head] if layer.kind is not LayerKind.FLATTEN]
    variants.use_int8(graph, features, activations)
    variants.use_int4_blocks(graph, fully_connected)
    return chain(
        bind_int8(spec, convolutions, request.corrected_weights, activations),
        bind_int4_blocks(fully_connected, request.weights),
    )
