"""What lies below a folder of pictures: those, other files, and what systems leave there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from PIL import Image

from calibration.decoding import DECODING_ERRORS, FORMATS, reads_heic
from calibration.errors import CalibrationDataError

EXTENSIONS = (
    ".apng", ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Files named so are pictures, readable or not; of all others the content decides."""

HEIC_EXTENSIONS = (".heic", ".heif")

JUNK = (
    "__MACOSX", ".DS_Store", "@eaDir", ".ipynb_checkpoints", "$RECYCLE.BIN", "lost+found",
    "System Volume Information", "Thumbs.db", "desktop.ini", "#recycle", "@Recycle", "@tmp",
    "__pycache__",
)  # fmt: skip
"""Files and folders that archives, file managers, network disks and notebooks leave behind."""

_SHOWN_KINDS = 10
_APPLE_DOUBLE = "._"
_HIDDEN = "."
_BROKEN_LINK = "broken link"
SEEN_FOLDER = "link to a folder that is read already"
_CONTENT_DECIDES = tuple(name for name in FORMATS if name != "TIFF")
"""Pillow's formats that a file of any name is tried as. Raw files of cameras and slides of
microscopes are TIFF by their content, of which Pillow would give the preview."""


@dataclass(frozen=True, slots=True)
class FolderContents:
    """What is below a folder.

    Attributes:
        pictures: Files that are pictures, readable or not.
        skipped: Other files, by ending; and links that lead nowhere, or back.
        junk: What is passed over by its name; folders count once.
    """

    pictures: int
    skipped: Mapping[str, int]
    junk: Mapping[str, int]

    @property
    def files(self) -> int:
        """Pictures and what was skipped."""
        return self.pictures + sum(self.skipped.values())

    def __str__(self) -> str:
        """All of it: "38 files: 36 pictures, 2 skipped (1 .heic, 1 .txt)"."""
        told = [f"{_counted(self.files, 'file')}: {_counted(self.pictures, 'picture')}"]
        if self.skipped:
            told.append(f"{sum(self.skipped.values())} skipped ({_listed(self.skipped)})")
        if self.junk:
            told.append(f"ignored as junk: {_listed(self.junk)}")
        return ", ".join(told)


def list_pictures(root: Path) -> tuple[tuple[str, ...], FolderContents]:
    """The pictures below a folder, at any depth. Linked folders are followed, each once.

    Returns:
        Their paths relative to the folder with slashes, sorted; and what else is there.

    Raises:
        CalibrationDataError: A folder cannot be listed.
    """
    pictures = list[str]()
    skipped, junk = Counter[str](), Counter[str]()
    for path in _visible(root, skipped, junk):
        if reason := _no_picture(path):
            skipped[reason] += 1
        else:
            pictures.append(path.relative_to(root).as_posix())
    contents = FolderContents(len(pictures), dict(sorted(skipped.items())), dict(junk))
    return tuple(sorted(pictures)), contents


def junk_kind(name: str) -> str | None:
    """What a file or folder of that name is counted as if it is passed over; else None."""
    for known in JUNK:
        if name.casefold() == known.casefold():
            return known
    if name.startswith(_APPLE_DOUBLE):
        return f"{_APPLE_DOUBLE}*"
    return "hidden" if name.startswith(_HIDDEN) else None


def printable_path(path: str) -> str:
    """The path with bytes that are not UTF-8 spelled out, so that it can be printed anywhere."""
    return path.encode(errors="backslashreplace").decode()


def _visible(root: Path, skipped: Counter[str], junk: Counter[str]) -> Iterator[Path]:
    """Files below ``root``; what is passed over is counted."""
    whole = root.resolve()
    entered = {_identity(folder) for folder in (whole, *whole.parents)}
    for folder, folders, names in os.walk(root, onerror=_refuse_folder, followlinks=True):
        below = []
        for name in sorted(_kept(folders, junk)):
            identity = _identity(Path(folder, name))
            if identity in entered:
                skipped[SEEN_FOLDER] += 1
            else:
                entered.add(identity)
                below.append(name)
        folders[:] = below
        for name in _kept(names, junk):
            yield Path(folder, name)


def _kept(names: list[str], junk: Counter[str]) -> Iterator[str]:
    for name in names:
        if kind := junk_kind(name):
            junk[kind] += 1
        else:
            yield name


def _no_picture(path: Path) -> str | None:
    """What a file is counted as that is no picture; None for a picture.

    A link to nothing that is named like a picture is one that cannot be read; a pipe is none.
    """
    ending = path.suffix.lower()
    if path.exists() and not path.is_file():
        return "no regular file"
    if ending in EXTENSIONS or (ending in HEIC_EXTENSIONS and reads_heic()):
        return None
    if not path.exists():
        return _BROKEN_LINK
    return None if _opens(path) else printable_path(ending) or "without ending"


def _opens(path: Path) -> bool:
    """Whether the content of a file begins like a picture."""
    try:
        with Image.open(path, formats=_CONTENT_DECIDES):
            return True
    except DECODING_ERRORS as error:
        return isinstance(error, Image.DecompressionBombError)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _refuse_folder(error: OSError) -> NoReturn:
    raise CalibrationDataError(
        f"folder {str(error.filename)!r} cannot be listed: {error.strerror}; make "
        f"it readable or pass another folder"
    ) from error


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _listed(counts: Mapping[str, int]) -> str:
    """All, or the commonest: names like 1.2.840.1 give each file an ending of its own."""
    shown = dict(Counter(counts).most_common(_SHOWN_KINDS))
    told = [f"{number} {name}" for name, number in counts.items() if name in shown]
    if others := sum(counts.values()) - sum(shown.values()):
        told.append(f"{others} of other kinds")
    return ", ".join(told)
