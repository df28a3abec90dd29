"""A bundle as a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from vggexport.bundles.checksums import Digest, copy_checked
from vggexport.bundles.names import MAX_FILES, check_names
from vggexport.errors import ArtifactError


def write_folder(files: Mapping[str, Path], digests: Mapping[str, Digest], target: Path) -> None:
    """Copies files to where they belong, by name, in a folder that does not exist.

    Raises:
        Unfinished: A file was changed since its digest was taken.
    """
    check_names(files)
    for name in sorted(files):
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as copy:
            copy_checked(files[name], copy, digests[name])


class FolderFiles:
    """The files of a folder, known to be plain ones, in order.

    Raises:
        ArtifactError: It cannot be read, is empty, or holds a link or a device.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.names = tuple(sorted(islice(_walk(path), MAX_FILES + 1)))
        except OSError as error:
            raise ArtifactError(f"bundle {path} cannot be read: {error.strerror}") from error
        if not self.names:
            raise ArtifactError(f"{path} is not a bundle: it is an empty folder")
        check_names(self.names)

    def size(self, name: str) -> int:
        """Number of bytes of a file."""
        with self._readable(name):
            return (self.path / name).stat().st_size

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A file, open to be read."""
        with self._readable(name):
            file = (self.path / name).open("rb")
        with file:
            yield file

    def is_dated(self, moment: int) -> bool:
        """True: a folder says nothing of when it was made."""
        return True

    @contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtifactError(
                f"bundle {self.path}: {name} cannot be read: {error.strerror}"
            ) from error


def _walk(root: Path) -> Iterator[str]:
    """Names of all files below, however deep: a folder may be deeper than calls can be."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(root / prefix) as entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
                    raise ArtifactError(
                        f"the bundle holds {name!r}, which is a link or a device, not a plain "
                        "file: do not use it"
                    )
                if entry.is_dir():
                    pending.append(f"{name}/")
                else:
                    yield name
