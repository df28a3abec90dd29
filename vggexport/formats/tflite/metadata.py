"""What a TFLite file says of itself.

Four things, each in the way that its readers look for it: the artifact object as a metadata buffer
under the name that all our formats use; TFLite's own metadata (TFLITE_METADATA), which viewers and
Android's and MediaPipe's task libraries read; the labels as ``labels.txt`` in a zip archive after
the model, where those libraries look for it; and the oldest TensorFlow that knows its operators,
where the converter leaves it, too, by a table: docs/runtimes.md has what was tried.

TFLite's metadata is a flatbuffer of its own, whose schema (``metadata_schema.fbs``, "M001") is part
of tflite-support, which is no longer kept. The few tables needed are written here field by field.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path

import flatbuffers
import numpy as np

from vggexport.artifact import METADATA_KEY, Artifact
from vggexport.formats.tflite.graph import Operator
from vggexport.formats.tflite.layer_kinds import SINCE
from vggexport.network.head import HeadActivation
from vggexport.network.layers import INPUT_NAME, OUTPUT_NAME
from vggexport.network.spec import VGGSpec

TFLITE_METADATA = "TFLITE_METADATA"
LABELS_NAME = "labels.txt"

_MIN_RUNTIME_VERSION = "min_runtime_version"
_RUNTIME_VERSION_BYTES = 16  # of the buffer, whose rest is zeros

_IDENTIFIER = b"M001"
_PARSER_VERSION = "1.0.0"  # the first that reads all that is written here
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same bytes at any time of the day


class _Model(IntEnum):
    """Fields of ModelMetadata, by their number in the schema; likewise below."""

    NAME = 0
    DESCRIPTION = 1
    VERSION = 2
    SUBGRAPHS = 3
    MIN_PARSER_VERSION = 7


class _Subgraph(IntEnum):
    INPUTS = 2
    OUTPUTS = 3


class _Tensor(IntEnum):
    NAME = 0
    DESCRIPTION = 1
    CONTENT = 3
    PROCESS_UNITS = 4
    ASSOCIATED_FILES = 6


class _Union(IntEnum):
    """Content and ProcessUnit both begin with a union: which member, then the member."""

    KIND = 0
    VALUE = 1


class _Normalization(IntEnum):
    MEAN = 0
    STD = 1


class _File(IntEnum):
    NAME = 0
    DESCRIPTION = 1
    KIND = 2


_IMAGE, _RGB = 2, 1  # ContentProperties.ImageProperties, ColorSpaceType.RGB
_COLOR_SPACE = 0  # first field of ImageProperties
_NORMALIZATION = 1  # ProcessUnitOptions.NormalizationOptions
_AXIS_LABELS = 2  # AssociatedFileType.TENSOR_AXIS_LABELS


def metadata_buffers(artifact: Artifact, operators: Iterable[Operator]) -> dict[str, bytes]:
    """Metadata buffers of the model, by name."""
    return {
        METADATA_KEY: artifact.embedded().encode(),
        TFLITE_METADATA: tflite_metadata(artifact),
        _MIN_RUNTIME_VERSION: _min_runtime_version(operators),
    }


def _min_runtime_version(operators: Iterable[Operator]) -> bytes:
    """The newest of all operators' first versions, as tools that deploy files look for it."""
    major, minor = max(SINCE[operator.type, operator.version] for operator in operators)
    return f"{major}.{minor}.0".encode().ljust(_RUNTIME_VERSION_BYTES, b"\0")


def append_labels(path: Path, labels: Sequence[str]) -> None:
    """Puts the labels, one a line, into a zip archive after the model; nothing without labels."""
    if not labels:
        return
    with zipfile.ZipFile(path, "a") as archive:
        text = "".join(f"{label}\n" for label in labels)
        archive.writestr(zipfile.ZipInfo(LABELS_NAME, _ZIP_EPOCH), text)


def tflite_metadata(artifact: Artifact) -> bytes:
    """TFLite's own description of the model and its tensors."""
    builder = flatbuffers.Builder()
    subgraph = _table(
        builder,
        {
            _Subgraph.INPUTS: _vector(builder, [_images(builder, artifact)]),
            _Subgraph.OUTPUTS: _vector(builder, [_probabilities(builder, artifact)]),
        },
    )
    model = _table(
        builder,
        {
            _Model.NAME: builder.CreateString(f"VGG-{artifact.spec.configuration}"),
            _Model.DESCRIPTION: builder.CreateString(
                f"VGG (arXiv 1409.1556), {artifact.precision.value}, "
                f"{artifact.spec.label_count} classes, weights {artifact.weights.source}"
            ),
            _Model.VERSION: builder.CreateString(artifact.weights.sha256[:12]),
            _Model.SUBGRAPHS: _vector(builder, [subgraph]),
            _Model.MIN_PARSER_VERSION: builder.CreateString(_PARSER_VERSION),
        },
    )
    builder.Finish(model, _IDENTIFIER)
    return bytes(builder.Output())


def _images(builder: flatbuffers.Builder, artifact: Artifact) -> int:
    """RGB as it is: normalization by 0 and 1, since the mean subtraction is in the graph."""
    height, width = artifact.spec.input_size
    sides = f"{height} pixels a side" if height == width else f"{height}x{width} pixels"
    properties = _table(builder, {}, {_COLOR_SPACE: _RGB})
    content = _table(builder, {_Union.VALUE: properties}, {_Union.KIND: _IMAGE})
    fields: dict[int, int] = {
        _Tensor.NAME: builder.CreateString(INPUT_NAME),
        _Tensor.DESCRIPTION: builder.CreateString(
            f"RGB 0...255, NHWC, {sides}, {artifact.input_dtype}; "
            "nothing is to be subtracted or divided"
        ),
        _Tensor.CONTENT: content,
    }
    if artifact.input_dtype == "float32":
        nothing = _table(
            builder,
            {
                _Normalization.MEAN: builder.CreateNumpyVector(np.zeros(1, np.float32)),
                _Normalization.STD: builder.CreateNumpyVector(np.ones(1, np.float32)),
            },
        )
        unit = _table(builder, {_Union.VALUE: nothing}, {_Union.KIND: _NORMALIZATION})
        fields[_Tensor.PROCESS_UNITS] = _vector(builder, [unit])
    return _table(builder, fields)


def _probabilities(builder: flatbuffers.Builder, artifact: Artifact) -> int:
    fields: dict[int, int] = {
        _Tensor.NAME: builder.CreateString(OUTPUT_NAME),
        _Tensor.DESCRIPTION: builder.CreateString(_meaning(artifact.spec)),
    }
    if artifact.output_labels:
        labels = _table(
            builder,
            {
                _File.NAME: builder.CreateString(LABELS_NAME),
                _File.DESCRIPTION: builder.CreateString("class names, one a line"),
            },
            {_File.KIND: _AXIS_LABELS},
        )
        fields[_Tensor.ASSOCIATED_FILES] = _vector(builder, [labels])
    return _table(builder, fields)


def _meaning(spec: VGGSpec) -> str:
    if spec.head_activation is HeadActivation.SOFTMAX:
        return "one probability a class"
    if spec.classes > 1:
        return "one probability a class, each for itself: they do not sum to 1"
    return "one probability, of the second class; that of the first is what is missing to 1"


def _table(
    builder: flatbuffers.Builder, offsets: Mapping[int, int], numbers: Mapping[int, int] = {}
) -> int:
    """A table of references to what was written before, and of one-byte numbers."""
    builder.StartObject(max((*offsets, *numbers)) + 1)
    for field, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, number in numbers.items():
        builder.PrependUint8Slot(field, number, 0)
    return int(builder.EndObject())


def _vector(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
