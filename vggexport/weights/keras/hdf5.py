"""The HDF5 file that a Keras file is or holds, opened without a copy and read without leaving it.

Only data inside the file is read: links and data sets that lead to other files are refused.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from vggexport.errors import WeightsError
from vggexport.weights.content import KERAS_WEIGHTS_MEMBER, Content, content_of
from vggexport.weights.optional import require
from vggexport.weights.stored import AnyArray, StoredTensor, reading

ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError),
    *(RuntimeError, KeyError, ValueError, TypeError),  # h5py on damaged structures
    AttributeError,  # a group where a data set should be
)
"""What h5py and zipfile raise of damaged files."""
_ENCRYPTED = 1
"""Bit of a zip member's flags."""
_LENGTHS_OFFSET = 26
"""Of the lengths of name and extra field in a zip member's local header (APPNOTE 4.3.7)."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The HDF5 file of a Keras file.

    Raises:
        WeightsError: The file is damaged.
        Unavailable: h5py is not installed.
    """
    h5py = require("h5py", f"{path}: a Keras file")
    with reading(path, *ERRORS), ExitStack() as stack:
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


def stored(path: Path, file: Any, place: str) -> StoredTensor:
    """The data set at ``place`` of the opened ``path``, to be read later."""
    return StoredTensor(tuple(file[place].shape), partial(_read, path, place))


def _read(path: Path, place: str) -> AnyArray:
    with opened(path) as file:
        array: AnyArray = file[place][()]
        return array


def text(value: Any) -> str:
    """An attribute's string, as whichever version of Keras wrote it."""
    return value.decode() if isinstance(value, bytes) else str(value)


def check_inside(path: Path, file: Any) -> None:
    """Refuses what would make HDF5 read another file.

    Raises:
        WeightsError: A link, or the storage of a data set, is not in the file itself.
    """
    h5py = require("h5py", f"{path}: a Keras file")

    def foreign_link(name: str, link: Any) -> str | None:
        return None if isinstance(link, h5py.HardLink) else name

    def foreign_data(name: str, item: Any) -> str | None:
        is_elsewhere = isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)
        return name if is_elsewhere else None

    name = file.visititems_links(foreign_link) or file.visititems(foreign_data)
    if name is not None:
        raise WeightsError(
            f"{path}: {name} is not stored in the file itself: save the model again with Keras"
        )
