"""Puts ONNX Runtime's format in order, so that the same model gives the same bytes.

A file is a FlatBuffer (onnxruntime/core/flatbuffers/schema/ort.fbs) of a session: a model, and a
table that says which tensors' types choose the kernel of each operator. ONNX Runtime writes that
table as a hash map has it, which every process seeds anew. FlatBuffers are written from their end:
the model's bytes come last and refer to nothing in front of them. So they stay as they are, and the
session and its table are written anew before them.
"""

from __future__ import annotations

import mmap
import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import onnxruntime.tools.ort_format_model  # noqa: F401  it makes the next ones found
from ort_flatbuffers_py.fbs import (
    ArgTypeAndIndex,
    InferenceSession,
    KernelTypeStrArgsEntry,
    KernelTypeStrResolver,
    OpIdKernelTypeStrArgsEntry,
)

from vggexport.errors import ArtifactError

_IDENTIFIER = b"ORTM"
_ALIGNMENT = 64  # of the model's bytes, no less than that of any of its fields
_OFFSET = struct.Struct("<I")
_VTABLE_OFFSET, _VTABLE_SIZE = struct.Struct("<i"), struct.Struct("<H")
_MODEL_FIELD = 6  # where a session's vtable says where its model is: the second field
_KNOWN_VTABLE = 12  # bytes: two sizes, and the four fields of a session


def order_kernel_types(path: Path) -> None:
    """Rewrites a ``.ort`` file with its table in order of names.

    Raises:
        ArtifactError: Its session has fields that are not known here.
    """
    ordered = path.with_name(f"{path.name}.ordered")
    with path.open("rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            front, begin = _front(data)
        file.seek(begin)
        with ordered.open("wb") as target:
            target.write(front)
            shutil.copyfileobj(file, target)
    ordered.replace(path)


def _front(data: mmap.mmap) -> tuple[bytes, int]:
    """What comes before the model's bytes, and where those begin in the file as it is."""
    session = InferenceSession.InferenceSession.GetRootAs(data, 0)
    model, types = session.Model(), session.KernelTypeStrResolver()
    place = session._tab.Pos  # noqa: SLF001  generated readers tell places nowhere else
    if _vtable_size(data, place) > _KNOWN_VTABLE or not model or not types:
        raise ArtifactError(
            "this version of ONNX Runtime writes sessions in ORT format that vggexport cannot put "
            "in order: take the version of constraints.txt"
        )
    table = model._tab.Pos  # noqa: SLF001
    begin = min(table, _vtable(data, table))
    front = bytearray(_session(session.OrtVersion(), types))
    front += bytes((begin - len(front)) % _ALIGNMENT)
    root = InferenceSession.InferenceSession.GetRootAs(front, 0)._tab  # noqa: SLF001
    field = root.Pos + root.Offset(_MODEL_FIELD)
    _OFFSET.pack_into(front, field, len(front) + table - begin - field)
    return bytes(front), begin


def _vtable(data: mmap.mmap, table: int) -> int:
    (back,) = _VTABLE_OFFSET.unpack_from(data, table)
    return table - int(back)


def _vtable_size(data: mmap.mmap, table: int) -> int:
    (size,) = _VTABLE_SIZE.unpack_from(data, _vtable(data, table))
    return int(size)


def _session(version: bytes, types: Any) -> bytes:
    """A session whose model is still to be put in its place."""
    builder = flatbuffers.Builder()
    resolver = _types(builder, types)
    text = builder.CreateString(version)
    InferenceSession.Start(builder)
    InferenceSession.AddOrtVersion(builder, text)
    InferenceSession.AddModel(builder, resolver)  # any place will do until the model's is known
    InferenceSession.AddKernelTypeStrResolver(builder, resolver)
    builder.Finish(InferenceSession.End(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _types(builder: flatbuffers.Builder, types: Any) -> int:
    """The table: by operator and by the name of a type, which tensors have that type."""
    operators = [types.OpKernelTypeStrArgs(i) for i in range(types.OpKernelTypeStrArgsLength())]
    entries = [_operator(builder, o) for o in sorted(operators, key=lambda o: o.OpId())]
    start = KernelTypeStrResolver.StartOpKernelTypeStrArgsVector
    vector = _vector(builder, start, entries)
    KernelTypeStrResolver.Start(builder)
    KernelTypeStrResolver.AddOpKernelTypeStrArgs(builder, vector)
    return int(KernelTypeStrResolver.End(builder))


def _operator(builder: flatbuffers.Builder, operator: Any) -> int:
    kinds = [operator.KernelTypeStrArgs(i) for i in range(operator.KernelTypeStrArgsLength())]
    entries = [_kind(builder, k) for k in sorted(kinds, key=lambda k: k.KernelTypeStr())]
    start = OpIdKernelTypeStrArgsEntry.StartKernelTypeStrArgsVector
    vector, name = _vector(builder, start, entries), builder.CreateString(operator.OpId())
    OpIdKernelTypeStrArgsEntry.Start(builder)
    OpIdKernelTypeStrArgsEntry.AddOpId(builder, name)
    OpIdKernelTypeStrArgsEntry.AddKernelTypeStrArgs(builder, vector)
    return int(OpIdKernelTypeStrArgsEntry.End(builder))


def _kind(builder: flatbuffers.Builder, kind: Any) -> int:
    entries = [_argument(builder, kind.Args(i)) for i in range(kind.ArgsLength())]
    vector = _vector(builder, KernelTypeStrArgsEntry.StartArgsVector, entries)
    name = builder.CreateString(kind.KernelTypeStr())
    KernelTypeStrArgsEntry.Start(builder)
    KernelTypeStrArgsEntry.AddKernelTypeStr(builder, name)
    KernelTypeStrArgsEntry.AddArgs(builder, vector)
    return int(KernelTypeStrArgsEntry.End(builder))


def _argument(builder: flatbuffers.Builder, argument: Any) -> int:
    ArgTypeAndIndex.Start(builder)
    ArgTypeAndIndex.AddArgType(builder, argument.ArgType())
    ArgTypeAndIndex.AddIndex(builder, argument.Index())
    return int(ArgTypeAndIndex.End(builder))


def _vector(
    builder: flatbuffers.Builder,
    start: Callable[[flatbuffers.Builder, int], object],
    entries: Sequence[int],
) -> int:
    start(builder, len(entries))
    for entry in reversed(entries):
        builder.PrependUOffsetTRelative(entry)
    return int(builder.EndVector())
