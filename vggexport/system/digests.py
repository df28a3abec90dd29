"""SHA-256 of files and of directories, whose digest is that of a list of their files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def files_of(path: Path) -> list[Path]:
    """The file itself, or all files in a directory, sorted by their path in it."""
    if not path.is_dir():
        return [path]
    files = (part for part in path.rglob("*") if part.is_file())
    return sorted(files, key=lambda part: part.relative_to(path).as_posix())


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes or of a directory's listing, in hexadecimal.

    The listing is what ``sha256sum`` prints for the files in order of their paths, so a shell says
    the same: ``find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum``.
    """
    if not path.is_dir():
        return file_sha256(path)
    files = files_of(path)
    return listing_digest({p.relative_to(path).as_posix(): file_sha256(p) for p in files})


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_sha256(source: str) -> str | None:
    """SHA-256 of a file or directory; None where a source is none, such as "random:0"."""
    path = Path(source)
    return sha256(path) if path.exists() else None


def render_checksums(digests: Mapping[str, str]) -> str:
    """The list: a digest, two spaces and a name a line, in order of the names."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))


def listing_digest(digests: Mapping[str, str]) -> str:
    """One digest for many files: that of their list."""
    return hashlib.sha256(render_checksums(digests).encode()).hexdigest()
