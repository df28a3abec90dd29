"""Digests of files, and the list of them that ``sha256sum --check`` reads."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vggexport.errors import ArtifactError, Unfinished
from vggexport.system.digests import render_checksums

CHUNK_BYTES = 1 << 20

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


@dataclass(frozen=True, slots=True)
class Digest:
    """What is known of a file's bytes.

    Attributes:
        size: Number of bytes.
        sha256: Hexadecimal.
        crc32: As zip archives have it.
    """

    size: int
    sha256: str
    crc32: int


def measure(file: IO[bytes]) -> Digest:
    """Reads an open file to its end, in memory that does not grow with it."""
    size, crc, sha = 0, 0, hashlib.sha256()
    for chunk in chunks(file):
        size += len(chunk)
        crc = zlib.crc32(chunk, crc)
        sha.update(chunk)
    return Digest(size, sha.hexdigest(), crc)


def measure_path(path: Path) -> Digest:
    """The same for a file by its path."""
    with path.open("rb") as file:
        return measure(file)


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of an open file, some at a time."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def copy_checked(path: Path, target: IO[bytes], digest: Digest) -> None:
    """Copies a file after what an open one holds, in memory that does not grow with it.

    Raises:
        Unfinished: It was changed since its digest was taken.
    """
    size, crc = 0, 0
    with path.open("rb") as file:
        for chunk in chunks(file):
            target.write(chunk)
            size += len(chunk)
            crc = zlib.crc32(chunk, crc)
    if (size, crc) != (digest.size, digest.crc32):
        raise Unfinished(f"{path} was changed while it was read: bundle it when it is whole")


def parse_checksums(text: str) -> dict[str, str]:
    """Digests by name.

    Raises:
        ArtifactError: It is not such a list, in order, or names something twice.
    """
    digests = {}
    for line in text.removesuffix("\n").split("\n"):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ArtifactError(
                f"the list of digests has a line {line[:80]!r}: get the bundle again"
            )
        digests[match[2]] = match[1]
    if render_checksums(digests) != text:  # out of order, named twice, or without a last newline
        raise ArtifactError("the list of digests is not as it was written: get the bundle again")
    return digests
