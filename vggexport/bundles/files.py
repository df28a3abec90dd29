"""Bundles that were handed in, whatever holds their files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from vggexport.bundles import CHECKSUMS, MANIFEST
from vggexport.bundles.archive import ArchiveFiles
from vggexport.bundles.checksums import chunks
from vggexport.bundles.folder import FolderFiles
from vggexport.errors import ArtifactError, one_line
from vggexport.formats.registry import BUNDLED, known_format
from vggexport.results.bundle_manifest import BundledArtifact, Manifest
from vggexport.system.near_names import not_there
from vggexport.weights.files import FORMATS as WEIGHTS

MAX_TEXT_BYTES = 1 << 26
"""Of a file that is read into memory."""


class BundleFiles(Protocol):
    """The files of a bundle: of safe names, and plain."""

    path: Path
    names: tuple[str, ...]

    def size(self, name: str) -> int:
        """Number of bytes of a file."""
        ...

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A file, open to be read."""
        ...


class CheckedFiles:
    """The files of a bundle that were held to their digests, and are again whenever they are read.

    A folder or an archive may be another one by the time that it is read for use. Digests are the
    SHA-256 of each file that may be used, by name.
    """

    def __init__(self, files: BundleFiles, digests: Mapping[str, str]) -> None:
        self.path = files.path
        self.names = tuple(digests)
        self._files = files
        self._digests = digests

    def size(self, name: str) -> int:
        """Number of bytes of a file."""
        return self._files.size(name)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A file, open to be read from front to end.

        Raises:
            ArtifactError: On leaving: what was read is not what was checked.
        """
        with self._files.open(name) as file:
            reading = _Hashed(file)
            yield reading  # type: ignore[misc]
        if reading.sha256 != self._digests[name]:
            raise ArtifactError(
                f"{self.path}: {name} was changed after it was checked: check a bundle that nobody "
                "else writes to"
            )


class _Hashed:
    """An open file that knows the digest of what was read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest = file, hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data


def is_bundle(path: Path) -> bool:
    """Whether it looks like one: a folder with a manifest, or a zip archive."""
    return (path / MANIFEST).is_file() or (path.suffix == ".zip" and path.is_file())


def open_bundle(path: Path) -> FolderFiles | ArchiveFiles:
    """The files of a folder or an archive.

    Raises:
        ArtifactError: It does not exist, is neither, or holds what is not safe.
    """
    if not path.exists():
        raise ArtifactError(f"bundle {not_there(path)}", "name a zip archive or a folder")
    if not (path.is_file() or path.is_dir()):
        raise ArtifactError(f"bundle {path} is a device or a pipe: name a zip archive or a folder")
    _check_no_model(path)
    files = FolderFiles(path) if path.is_dir() else ArchiveFiles(path)
    for name in (CHECKSUMS, MANIFEST):
        if name not in files.names:
            raise ArtifactError(f"{path} is not a bundle: it has no {name}")
    return files


def _check_no_model(path: Path) -> None:
    """Refuses what bundles are made of: many a model or weights file is a zip archive, too."""
    if known_format(path):
        raise ArtifactError(
            f"{path} is a model, not a bundle", "make one with bundle", "look at it with inspect"
        )
    if path.suffix.lower() in WEIGHTS:
        raise ArtifactError(
            f"{path} is a file of weights, not a bundle", "export it, and make one with bundle"
        )


def read_bytes(files: BundleFiles, name: str) -> bytes:
    """A small file.

    Raises:
        ArtifactError: It is not there, or not small.
    """
    if name not in files.names:
        raise ArtifactError(f"{files.path} has no {name}: get it again")
    if files.size(name) > MAX_TEXT_BYTES:
        raise ArtifactError(f"{files.path}: {name} has more than {MAX_TEXT_BYTES:,} bytes")
    with files.open(name) as file:
        return file.read(MAX_TEXT_BYTES + 1)


def read_object(files: BundleFiles, name: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ArtifactError: It is not there, or not that.
    """
    try:
        data = json.loads(read_bytes(files, name))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{files.path}: {name} is not JSON: {one_line(error)}") from error
    if not isinstance(data, dict):
        raise ArtifactError(f"{files.path}: {name} is not a JSON object: get it again")
    return data


def read_manifest(files: BundleFiles) -> Manifest:
    """What is in a bundle.

    Raises:
        ArtifactError: It does not say, or has a model of a format that is not known.
    """
    manifest = Manifest.from_json(read_object(files, MANIFEST))
    for bundled in manifest.artifacts:
        if bundled.artifact.format not in BUNDLED:
            raise ArtifactError(
                f"{files.path}: {bundled.artifact.path} is of the unknown format "
                f"{bundled.artifact.format!r}: get the bundle again, or update vggexport"
            )
    return manifest


def unpack(files: BundleFiles, name: str, target: Path) -> Path:
    """Copies a file to where it belongs in a folder, a part at a time.

    Raises:
        ArtifactError: It is not in the bundle, whose names alone are known to stay in the folder.
    """
    if name not in files.names:
        raise ArtifactError(f"{files.path} has no {name}: get it again")
    place = target / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with files.open(name) as source, place.open("wb") as copy:
        for chunk in chunks(source):
            copy.write(chunk)
    return place


def unpack_model(files: BundleFiles, bundled: BundledArtifact, target: Path) -> Path:
    """Copies the files of a model to where they belong in a folder.

    Returns:
        The model's file or directory there.

    Raises:
        ArtifactError: They are not in the bundle, or are not the model that the manifest describes.
    """
    place = bundled.artifact.path
    inside = [name == place or name.startswith(f"{place}/") for name in bundled.files]
    if not inside or not all(inside):
        raise ArtifactError(f"{files.path}: the files of {place!r} are not its own: get it again")
    for name in bundled.files:
        unpack(files, name, target)
    found = bundled.artifact.located(target / place)
    if (found.size_bytes, found.sha256) != (bundled.artifact.size_bytes, bundled.artifact.sha256):
        raise ArtifactError(
            f"{files.path}: {place} is not the file that the manifest describes: get it again"
        )
    return target / place
