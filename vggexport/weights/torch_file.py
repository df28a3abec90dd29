"""``.pth`` and ``.pt``: state dicts as ``torch.save`` writes them, read without torch.

Two containers, told apart by their first bytes:

* a zip (torch 1.6 and later): ``<folder>/data.pkl`` is the pickle, ``<folder>/data/<key>`` the
  values of each storage, never compressed, ``<folder>/byteorder`` says "big" where they are not
  little-endian;
* five pickles in a row (torch before): a magic number, the version of the format, facts on the
  machine, what was saved, and the keys of the storages. Their values follow in that order, each
  after the number of its values in eight bytes; all is little-endian on every machine.

The pickle tells where each tensor lies; its values alone are read, when they are asked for.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from vggexport.errors import WeightsError
from vggexport.weights.pickle_machine import LONGEST_PICKLE, refusal
from vggexport.weights.stored import AnyArray, Archive, StoredTensor, float32_from_bfloat16, reading
from vggexport.weights.torch_pickle import unpickled
from vggexport.weights.torch_tensors import BFLOAT16, DTYPES, Tensor

_ERRORS = (
    zipfile.BadZipFile,
    EOFError,
    *(IndexError, KeyError, TypeError, ValueError),  # what a damaged pickle leads to
    *(NotImplementedError, OverflowError),  # a zip's version or offset that nobody writes
)
_PICKLE = "data.pkl"
_ORDERS = {b"little": "<", b"big": ">"}
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_COUNT_BYTES = 8
_ENCRYPTED = 1
"""Bit of a zip member's flags."""
_HEADER_BYTES = 30
_CHUNK = 1 << 20
_SHOWN = 60
"""Characters of a key in a message."""
_LISTED = 8


@dataclass(frozen=True, slots=True)
class _Container:
    """What a file holds.

    Attributes:
        value: What was saved.
        order: Of the bytes of a value, in NumPy's notation.
        sizes: Storage key -> bytes.
        start: From a storage's key to where its bytes begin, once they are known to be whole.
    """

    value: Any
    order: str
    sizes: Mapping[str, int]
    start: Callable[[str], int]


def read_torch(path: Path) -> Archive:
    """The tensors of a state dict by their names, in its order.

    A checkpoint that holds one state dict beside other things (``{"state_dict": …, "epoch": 3}``)
    is taken for that; :func:`state_dict_key` says which.

    Raises:
        WeightsError: The file is damaged, or holds something else than one state dict.
    """
    with reading(path, *_ERRORS):
        container = _opened(path)
        _, tensors = _state_dict_of(path, container.value)
        return {name: _stored(path, tensor, container) for name, tensor in tensors.items()}


def state_dict_key(path: Path) -> str | None:
    """Where in the file the state dict lies; None if it is all that the file holds.

    Raises:
        WeightsError: As from :func:`read_torch`.
    """
    with reading(path, *_ERRORS):
        key, _ = _state_dict_of(path, _opened(path).value)
        return key


def _state_dict_of(path: Path, value: Any) -> tuple[str | None, dict[str, Tensor]]:
    """The one dict of tensors in what was saved: it, or a dict that holds it beside other things.

    Returns:
        Its key, None if it is ``value`` itself, and its tensors by name.

    Raises:
        WeightsError: There is none, or more than one.
        ValueError: A tensor's name is no text that can be printed.
    """
    if not isinstance(value, dict):
        raise refusal(path, f"no state dict ({type(value).__name__})")
    inner = {id(item): item for item in value.values() if isinstance(item, dict)}
    weights = {identity for identity, item in inner.items() if _has_weights(item)}
    choices: dict[str | None, dict[Any, Any]] = {None: value} if _has_weights(value) else {}
    choices |= {
        key: item for key, item in value.items() if isinstance(key, str) and id(item) in weights
    }
    if not choices:
        raise WeightsError(
            f"{path} holds no state dict, at its top or under its keys {_listed(value)}: "
            'torch.save(model.state_dict(), "vgg16.pth") writes one'
        )
    if len(choices) > 1:
        raise WeightsError(
            f"{path} holds several state dicts, {_listed(choices)}: save the one that is meant "
            'with torch: torch.save(checkpoint[KEY], "vgg16.pth")'
        )
    ((key, chosen),) = choices.items()
    tensors = {name: item for name, item in chosen.items() if isinstance(item, Tensor)}
    if not all(isinstance(name, str) and name.isprintable() for name in tensors):
        raise ValueError("the name of a tensor is not printable text")
    return key, tensors


def _has_weights(value: dict[Any, Any]) -> bool:
    """Whether there are tensors in it; single numbers may be an accuracy."""
    return any(isinstance(item, Tensor) and item.shape for item in value.values())


def _listed(keys: Mapping[Any, object]) -> str:
    words = ["its top level" if key is None else repr(key)[:_SHOWN] for key in list(keys)[:_LISTED]]
    more = len(keys) - _LISTED
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")


def _opened(path: Path) -> _Container:
    with path.open("rb") as file:
        return _zip(path) if file.peek(2).startswith(b"PK") else _five_pickles(path, file)


def _zip(path: Path) -> _Container:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(set(names)) < len(names):
            raise ValueError("two members of one name")
        folders = [name.removesuffix(_PICKLE) for name in names if name.endswith(f"/{_PICKLE}")]
        if len(folders) != 1:
            raise ValueError(f"{len(folders)} members are called {_PICKLE}, not one")
        (folder,) = folders
        found = unpickled(path, io.BytesIO(_content(path, archive, folder + _PICKLE)))
        members = {key: _member(archive, f"{folder}data/{key}") for key in found.storages}
        word = f"{folder}byteorder"
        order = _ORDERS.get(_content(path, archive, word)) if word in names else "<"
        if order is None:
            raise ValueError("its bytes are in no known order")
    return _Container(
        found.value,
        order,
        {key: member.file_size for key, member in members.items()},
        cache(lambda key: _start(path, members[key])),
    )


def _content(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    if _member(archive, name).file_size > LONGEST_PICKLE:
        raise refusal(path, f"more than {LONGEST_PICKLE} bytes beside its tensors")
    return archive.read(name)


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """A member whose bytes lie in the file as they are."""
    member = archive.getinfo(name)
    packed = member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED
    if packed or member.compress_size != member.file_size:
        raise ValueError(f"{name} is compressed or encrypted, which torch never does")
    return member


def _start(path: Path, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin, which agree with their checksum.

    The local header repeats name and extra field, with lengths of its own (APPNOTE 4.3.7).
    """
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(_HEADER_BYTES)
        lengths = (header[26:28], header[28:])
        start = file.seek(sum(int.from_bytes(length, "little") for length in lengths), io.SEEK_CUR)
        left, checksum = member.file_size, 0
        while left and (chunk := file.read(min(left, _CHUNK))):
            checksum = zlib.crc32(chunk, checksum)
            left -= len(chunk)
    if left or checksum != member.CRC:
        raise ValueError(f"the checksum of {member.filename} is not that of its values")
    return start


def _five_pickles(path: Path, file: io.BufferedReader) -> _Container:
    stream = io.BytesIO(file.read(LONGEST_PICKLE))
    if unpickled(path, stream).value != _MAGIC:
        raise refusal(path, "a pickle that torch.save did not write")
    if unpickled(path, stream).value != _PROTOCOL:
        raise ValueError("a version of the format that nobody writes")
    unpickled(path, stream)  # facts on the machine that wrote it, which change nothing
    found = unpickled(path, stream)
    keys = unpickled(path, stream).value
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("the list of its storages is none")
    if sorted(keys) != sorted(found.storages):
        raise ValueError("the list of its storages is not that of its tensors")
    starts, sizes = {}, {}
    position = stream.tell()
    for key in keys:
        kind, count = found.storages[key]
        file.seek(position)
        if int.from_bytes(file.read(_COUNT_BYTES), "little") != count:
            raise ValueError("a storage of another size than its tensors say")
        starts[key] = position + _COUNT_BYTES
        sizes[key] = count * np.dtype(DTYPES[kind]).itemsize
        position = starts[key] + sizes[key]
    if file.seek(0, io.SEEK_END) != position:
        raise ValueError("it does not end where its last tensor does")
    return _Container(found.value, "<", sizes, starts.__getitem__)


def _stored(path: Path, tensor: Tensor, container: _Container) -> StoredTensor:
    storage = tensor.storage
    if storage.count * np.dtype(DTYPES[storage.kind]).itemsize > container.sizes[storage.key]:
        raise ValueError("a storage of fewer bytes than its tensors say")
    return StoredTensor(tensor.shape, partial(_read, path, tensor, container))


def _read(path: Path, tensor: Tensor, container: _Container) -> AnyArray:
    storage = tensor.storage
    stored = np.dtype(container.order + DTYPES[storage.kind])
    with reading(path, *_ERRORS):
        place = container.start(storage.key) + (storage.start + tensor.offset) * stored.itemsize
        values = np.fromfile(path, stored, tensor.extent, offset=place)
        # This constructor, unlike as_strided, checks that the view stays inside.
        view: AnyArray = np.ndarray(
            tensor.shape,
            stored,
            values,
            strides=[stride * stored.itemsize for stride in tensor.strides],
        )
    native = view.astype(stored.newbyteorder("="), copy=False)
    return float32_from_bfloat16(native) if storage.kind == BFLOAT16 else native
