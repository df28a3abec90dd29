"""Names in a bundle, which whoever made it chose: only those that stay inside the bundle."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from vggexport.errors import ArtifactError

MAX_FILES = 10_000
"""More than the files of any SavedModel, less than what makes a folder slow."""

MAX_NAME_BYTES, MAX_PART_BYTES = 1024, 255
"""Of a whole name, and of what is between two slashes, which no common file system has longer."""

_RESERVED = frozenset('<>:"|?*\\')
"""What Windows does not have in a name; a backslash separates folders there."""

FILE_MANAGERS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".directory"})
"""What macOS, Windows and KDE leave in folders that somebody looks into."""

_SHOWN = 80  # characters of a name in a message


def check_names(names: Iterable[str], advice: str = "do not use it") -> None:
    """Refuses names that would lead out of a folder, or that two systems read differently.

    Raises:
        ArtifactError: One is absolute, has a ``..`` in it, comes twice, is a folder and a file, or
            cannot be a name everywhere.
    """
    seen: dict[str, str] = {}
    for number, name in enumerate(names, start=1):
        if number > MAX_FILES:
            raise ArtifactError(f"the bundle has more than {MAX_FILES:,} files: not one of ours")
        if fault := _fault(name):
            raise ArtifactError(f"the bundle holds {name[:_SHOWN]!r}, which {fault}: {advice}")
        # Where case or composed letters are not told apart, two names are one file.
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            raise ArtifactError(
                f"the bundle holds {name!r} and {seen[key]!r}, which are one file on some systems: "
                f"{advice}"
            )
        seen[key] = name
    for key, name in seen.items():
        if parent := next((p for p in PurePosixPath(key).parents if str(p) in seen), None):
            raise ArtifactError(
                f"the bundle holds {name!r} under {seen[str(parent)]!r}, which is a file: {advice}"
            )


def _fault(name: str) -> str | None:
    """Why a name may not be used, as the end of a sentence."""
    parts = name.split("/")
    if name.startswith("/") or (len(parts[0]) > 1 and parts[0][1] == ":"):
        return "is an absolute path"
    if ".." in parts:
        return "leads out of the bundle"
    if not all(parts) or "." in parts:
        return "is not a plain relative path"
    if not name.isprintable() or _RESERVED.intersection(name):
        return "has characters that cannot be in a name everywhere"
    if len(name.encode()) > MAX_NAME_BYTES or any(len(p.encode()) > MAX_PART_BYTES for p in parts):
        return "is longer than a name can be everywhere"
    return None
