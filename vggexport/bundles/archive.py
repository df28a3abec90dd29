"""Zip archives of which every byte follows from the files that are in them.

What is in the archive and the date give its bytes: files in order of their names, all with one
date, stored and not compressed (model files barely shrink, and compressed bytes differ from one
zlib to the next), without comments, extra fields or gaps. So the same files give the same archive;
and an archive that is read must be the one that its files give, which leaves no place to change or
hide anything. Records are those of PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

from vggexport.bundles.checksums import CHUNK_BYTES, Digest, copy_checked
from vggexport.bundles.names import MAX_FILES, check_names
from vggexport.errors import ArtifactError, InputError

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")

_VERSION = 20  # 2.0: what stored files need (4.4.3.2)
_UNIX = 3 << 8  # whose file attributes these are (4.4.2)
_UTF8_NAMES = 1 << 11  # general purpose bit 11 (4.4.4)
_ATTRIBUTES = (stat.S_IFREG | 0o644) << 16  # a plain file that all may read

_LIMIT = (1 << 32) - 1  # of sizes and places without the zip64 extension, which phones may lack
_MAX_DIRECTORY = MAX_FILES * 1024

_REPACKED = "it was packed again by another tool, unpack it and check the folder"

FIRST_MOMENT = int(datetime(1980, 1, 1, tzinfo=UTC).timestamp())
"""Where the calendar of zip archives begins, in seconds since 1970."""

_LAST_MOMENT = int(datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive."""

    name: str
    size: int
    crc32: int


@dataclass(frozen=True, slots=True)
class _Records:
    """All bytes of an archive that are not those of its files.

    Attributes:
        places: Where each file's own record begins.
        headers: Those records; the file's bytes follow.
        tail: The directory, behind the last file.
    """

    places: tuple[int, ...]
    headers: tuple[bytes, ...]
    tail: bytes

    @classmethod
    def of(cls, members: Sequence[Member], stamp: tuple[int, int]) -> Self:
        """The records of files in this order."""
        place, places, headers, directory = 0, [], [], b""
        for member in members:
            if max(member.size, place) > _LIMIT:
                raise InputError(
                    "the bundle is larger than 4 GiB, which a zip archive does not hold "
                    "everywhere: name a folder with -o"
                )
            name, (time, date) = member.name.encode(), stamp
            common = (_VERSION, _UTF8_NAMES, 0, time, date, member.crc32, member.size, member.size)
            header = _LOCAL.pack(b"PK\3\4", *common, len(name), 0) + name
            directory += _CENTRAL.pack(
                b"PK\1\2", _UNIX | _VERSION, *common, len(name), 0, 0, 0, 0, _ATTRIBUTES, place
            )
            directory += name
            places.append(place)
            headers.append(header)
            place += len(header) + member.size
        count = len(members)
        if place + len(directory) > _LIMIT:
            raise InputError("the bundle is larger than 4 GiB: name a folder with -o")
        end = _END.pack(b"PK\5\6", 0, 0, count, count, len(directory), place, 0)
        return cls(tuple(places), tuple(headers), directory + end)


def write_archive(
    files: Mapping[str, Path], digests: Mapping[str, Digest], target: Path, *, moment: int
) -> None:
    """Writes an archive, some megabytes in memory.

    ``files`` says where each is by its name in the archive, ``moment`` the date of all, in seconds
    since 1970.

    Raises:
        InputError: They are more than an archive holds, or the date is one that it has not.
        Unfinished: A file was changed since its digest was taken.
    """
    members = [Member(n, digests[n].size, digests[n].crc32) for n in sorted(files)]
    check_names(member.name for member in members)
    records = _Records.of(members, _stamp(moment))
    with target.open("wb") as archive:
        for member, header in zip(members, records.headers, strict=True):
            archive.write(header)
            copy_checked(files[member.name], archive, digests[member.name])
        archive.write(records.tail)


class ArchiveFiles:
    """The files of an archive, known to be safe to read and to unpack, and to be all there is.

    Attributes:
        names: Of the files, in order.
        stamp: Time and date of all files, as zip has it.

    Raises:
        ArtifactError: It is no zip archive, or holds what no bundle holds: a name that leads out of
            it, a link, something compressed or encrypted, or bytes that belong to no file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        infos = _directory(path)
        _check_kinds(infos)
        check_names(info.filename for info in infos if not _is_folder(info))
        _check_packed_here(infos)
        members = tuple(Member(i.filename, i.file_size, i.CRC) for i in infos)
        self.names = tuple(member.name for member in members)
        if list(self.names) != sorted(self.names):
            raise ArtifactError(
                f"{path}: its files are not in the order in which they were packed: {_REPACKED}"
            )
        self.stamp = _packed(*infos[0].date_time)
        self._members = {member.name: member for member in members}
        self._places = _check_records(path, members, self.stamp)

    def size(self, name: str) -> int:
        """Number of bytes of a file."""
        return self._members[name].size

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A file, open to be read."""
        with self.path.open("rb") as archive:
            archive.seek(self._places[name])
            yield _Part(archive, self._members[name].size)  # type: ignore[misc]

    def is_dated(self, moment: int) -> bool:
        """Whether all files have this date, in seconds since 1970."""
        return self.stamp == _stamp(moment)


class _Part:
    """Some bytes of an open file, as a file that can be read from front to end."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        return data


def _directory(path: Path) -> list[zipfile.ZipInfo]:
    """What the archive lists."""
    try:
        _check_end(path)
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except OSError as error:
        raise ArtifactError(f"bundle {path} cannot be read: {error.strerror}") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise ArtifactError(f"{path} is not a bundle, or is cut off: {error}") from error
    if not infos:
        raise ArtifactError(f"{path} is not a bundle: it is an empty archive")
    return infos


def _check_end(path: Path) -> None:
    """Refuses what does not end in a plain directory, before that is read into memory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END.size))
        end = file.read()
    if len(end) != _END.size or not end.startswith(b"PK\5\6"):
        raise ValueError("it does not end as a zip archive without a comment does")
    *_, count, length, place, comment = _END.unpack(end)
    if comment or place + length + _END.size != size:
        raise ValueError("it has bytes that belong to none of its files")
    if length > _MAX_DIRECTORY or count > MAX_FILES:
        raise ValueError(f"its directory is larger than that of {MAX_FILES:,} files")


def _is_folder(info: zipfile.ZipInfo) -> bool:
    """Whether it is a folder as other tools list it, with nothing in it that could be hidden."""
    return info.is_dir() and not info.file_size


def _check_kinds(infos: Sequence[zipfile.ZipInfo]) -> None:
    """Refuses links and devices, which must not even be unpacked."""
    for info in infos:
        kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the tool does not tell
        expected = stat.S_IFDIR if _is_folder(info) else stat.S_IFREG
        if kind not in (0, expected) or info.is_dir() != _is_folder(info):
            raise ArtifactError(
                f"the bundle holds {info.filename!r}, which is a link or a device, not a plain "
                "file: do not use it"
            )


def _check_packed_here(infos: Sequence[zipfile.ZipInfo]) -> None:
    """Refuses what zip tools write and we do not: folders, other rights, compressed files."""
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ArtifactError(
                f"the bundle holds {info.filename!r} compressed, {info.file_size:,} bytes of "
                f"{info.compress_size:,}: {_REPACKED}"
            )
        if info.external_attr != _ATTRIBUTES:
            what = "as a folder" if info.is_dir() else "with other rights"
            raise ArtifactError(f"the bundle holds {info.filename!r} {what}: {_REPACKED}")


def _check_records(path: Path, members: Sequence[Member], stamp: tuple[int, int]) -> dict[str, int]:
    """Holds an archive to what its files give; where the bytes of each begin."""
    records = _Records.of(members, stamp)
    begins = {}
    with path.open("rb") as file:
        for member, place, header in zip(members, records.places, records.headers, strict=True):
            file.seek(place)
            if file.read(len(header)) != header:
                raise ArtifactError(
                    f"{path}: the record of {member.name!r} is not as it was packed: get it again"
                )
            begins[member.name] = file.tell()
        file.seek(member.size, 1)
        if file.read(CHUNK_BYTES + _MAX_DIRECTORY) != records.tail:
            raise ArtifactError(f"{path}: its directory is not as it was packed: get it again")
    return begins


def check_moment(moment: int) -> None:
    """Refuses a date that no archive has.

    Raises:
        InputError: It is before 1980 or after 2107.
    """
    if not FIRST_MOMENT <= moment <= _LAST_MOMENT:
        raise InputError(
            f"SOURCE_DATE_EPOCH {moment} is not a date that a zip archive has: choose one from "
            f"{FIRST_MOMENT} to {_LAST_MOMENT}, or unset it"
        )


def _stamp(moment: int) -> tuple[int, int]:
    """Time and date of MS-DOS, in steps of two seconds (4.4.6)."""
    check_moment(moment)
    return _packed(*datetime.fromtimestamp(moment, UTC).timetuple()[:6])


def _packed(
    year: int, month: int, day: int, hour: int, minute: int, second: int
) -> tuple[int, int]:
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day
