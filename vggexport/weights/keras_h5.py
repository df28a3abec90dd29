"""Keras' own files: ``.weights.h5`` and ``.keras`` of Keras 3, and ``.h5`` of every Keras.

Three ways of writing down a model, told apart by what is inside:

* legacy HDF5: groups named by the attribute ``layer_names``, each with the attribute
  ``weight_names``; the groups are at the root (``save_weights`` of Keras 2, and the files that
  ``keras.applications`` downloads) or in ``model_weights`` (``model.save("….h5")``).
* Keras 3 HDF5: ``layers/<class>_<number>/vars/<index>``, the layer's name in the attribute ``name``
  of ``vars`` (Keras before 3.6 wrote none); numbers count in the model's order.
* ``.keras``: a zip with such an HDF5 file beside ``config.json``, which is not looked at: turning
  it into objects could run code.

Names come out as ``<layer>/kernel`` and ``<layer>/bias``. Only data inside the file is read: links
and data sets that lead to other files are refused.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from vggexport.errors import WeightsError
from vggexport.weights.content import KERAS_WEIGHTS_MEMBER, Content, content_of
from vggexport.weights.optional import require
from vggexport.weights.stored import AnyArray, Archive, StoredTensor, reading

_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError),
    *(RuntimeError, KeyError, ValueError, TypeError),  # h5py on damaged structures
    AttributeError,  # a group where a data set should be
)
_LEGACY_GROUP = "model_weights"
_KERAS_3_GROUP = "layers"
_LAYER_TENSORS = 2
"""A kernel and a bias; a legacy group with more is a nested model."""
_KERNEL_RANK = 2
"""Least rank of a kernel; biases have 1."""
_ENCRYPTED = 1
"""Bit of a zip member's flags."""
_LENGTHS_OFFSET = 26
"""Of the lengths of name and extra field in a zip member's local header (APPNOTE 4.3.7)."""
_NOT_LAYERS = ("seed_generator",)
"""State of random numbers, which Dropout keeps beside the weights."""


def read_keras(path: Path) -> Archive:
    """The weights of a Keras file as ``<layer>/kernel`` and ``<layer>/bias``, in Keras' layout.

    Raises:
        WeightsError: The file is damaged, holds no model, or leads outside of itself.
        Unavailable: h5py is not installed.
    """
    with _opened(path) as file:
        paths = _tensor_paths(path, file)
        return {
            name: StoredTensor(tuple(file[place].shape), partial(_read, path, place))
            for name, place in paths.items()
        }


def _read(path: Path, place: str) -> AnyArray:
    with _opened(path) as file:
        array: AnyArray = file[place][()]
        return array


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    h5py = require("h5py", f"{path}: a Keras file")
    with reading(path, *_ERRORS), ExitStack() as stack:
        source: Path | io.IOBase = path
        if content_of(path) is Content.KERAS:
            source = _weights_member(stack.enter_context(path.open("rb")))
        yield stack.enter_context(h5py.File(source, "r"))


def _weights_member(raw: io.BufferedReader) -> io.RawIOBase | io.BytesIO:
    """The HDF5 file inside a ``.keras`` file, without a copy where it is stored as it is."""
    with zipfile.ZipFile(raw) as archive:
        member = archive.getinfo(KERAS_WEIGHTS_MEMBER)
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
            return io.BytesIO(archive.read(member))
    # The local header repeats name and extra field, with lengths of its own.
    raw.seek(member.header_offset + _LENGTHS_OFFSET)
    lengths = raw.read(4)
    skipped = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    return _Window(raw, raw.tell() + skipped, member.file_size)


class _Window(io.RawIOBase):
    """A stretch of a file as a file."""

    def __init__(self, file: io.BufferedReader, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        self._position = bases[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: max(0, self._size - self._position)]
        self._file.seek(self._start + self._position)
        count = self._file.readinto(view)
        self._position += count
        return count


def _tensor_paths(path: Path, file: Any) -> dict[str, str]:
    """Tensor name -> its place in the file, in the model's order."""
    _check_inside(path, file)
    legacy = file.get(_LEGACY_GROUP, file)
    if "layer_names" in legacy.attrs:
        pairs = list(_legacy_paths(legacy))
    elif _KERAS_3_GROUP in file:
        pairs = list(_keras_3_paths(file[_KERAS_3_GROUP]))
    else:
        raise WeightsError(f"{path} is an HDF5 file without a Keras model: save it with Keras")
    paths = dict(pairs)
    if len(paths) < len(pairs):
        raise WeightsError(f"{path} has two tensors of one name: {', '.join(_repeated(pairs))}")
    return paths


def _repeated(pairs: list[tuple[str, str]]) -> list[str]:
    return [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]


def _legacy_paths(root: Any) -> Iterator[tuple[str, str]]:
    for layer in map(_text, root.attrs["layer_names"]):
        names = [_text(name) for name in root[layer].attrs["weight_names"]]
        for name in names:
            place = f"{root.name}/{layer}/{name}"
            parts = name.split("/")
            # "functional/block1_conv1/kernel:0" of a nested model; else the group is the layer.
            nested = len(names) > _LAYER_TENSORS and len(parts) > 1
            yield f"{parts[-2] if nested else layer}/{_role(root[layer][name], parts[-1])}", place


def _role(dataset: Any, name: str) -> str:
    """Kernel or bias, whatever a Keras of its time called it ("block1_conv1_W_1:0")."""
    name = name.partition(":")[0]
    if name in ("kernel", "bias"):
        return name
    if dataset.ndim >= _KERNEL_RANK:
        return "kernel"
    return "bias" if re.search(r"(^|_)b(_|$)", name) else name


def _keras_3_paths(root: Any) -> Iterator[tuple[str, str]]:
    variables: list[Any] = []
    root.visititems(lambda place, item: variables.append(item) if place.endswith("/vars") else None)
    for group in sorted(variables, key=lambda group: _natural(group.name)):
        if group.parent.name.endswith(_NOT_LAYERS):
            continue
        layer = _text(group.attrs.get("name", group.parent.name.rpartition("/")[2]))
        has_kernel = "0" in group and group["0"].ndim >= _KERNEL_RANK
        roles = {"0": "kernel", "1": "bias"} if has_kernel else {}
        for index in group:
            yield f"{layer}/{roles.get(index, index)}", f"{group.name}/{index}"


def _check_inside(path: Path, file: Any) -> None:
    """Refuses what would make HDF5 read another file.

    Raises:
        WeightsError: A link, or the storage of a data set, is not in the file itself.
    """
    h5py = require("h5py", f"{path}: a Keras file")

    def foreign_link(name: str, link: Any) -> str | None:
        return None if isinstance(link, h5py.HardLink) else name

    def foreign_data(name: str, item: Any) -> str | None:
        return name if isinstance(item, h5py.Dataset) and _is_elsewhere(item) else None

    name = file.visititems_links(foreign_link) or file.visititems(foreign_data)
    if name is not None:
        raise WeightsError(
            f"{path}: {name} is not stored in the file itself: save the model again with Keras"
        )


def _is_elsewhere(dataset: Any) -> bool:
    return bool(dataset.external or dataset.is_virtual)


def _natural(text: str) -> list[tuple[str, int]]:
    """Key that sorts "conv2d_10" behind "conv2d_9"."""
    return [(word, int(number or 0)) for word, number in re.findall(r"(\D+)(\d*)", text)]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
