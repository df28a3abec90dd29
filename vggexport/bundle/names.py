"""Names in a bundle, which whoever made it chose: only those that stay inside the bundle."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from vggexport.errors import ArtifactError

MAX_FILES = 10_000
"""More than the files of any SavedModel, less than what makes a folder slow."""

_RESERVED = frozenset('<>:"|?*\\')
"""What Windows does not have in a name; a backslash separates folders there."""


def check_names(names: Iterable[str]) -> None:
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
            raise ArtifactError(f"the bundle holds {name!r}, which {fault}: do not use it")
        # Where case or composed letters are not told apart, two names are one file.
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            raise ArtifactError(
                f"the bundle holds {name!r} and {seen[key]!r}, which are one file on some systems: "
                "do not use it"
            )
        seen[key] = name
    for key, name in seen.items():
        if parent := next((p for p in PurePosixPath(key).parents if str(p) in seen), None):
            raise ArtifactError(
                f"the bundle holds {name!r} under {seen[str(parent)]!r}, which is a file: do not "
                "use it"
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
    return None
