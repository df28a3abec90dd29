"""Is it as it was packed? Every file held to its digest, the list of digests to a signature."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vggexport.bundles import CHECKSUMS, LABELS, MANIFEST, SIGNATURE, SIGNING, UNLISTED
from vggexport.bundles.archive import ArchiveFiles
from vggexport.bundles.checksums import measure, parse_checksums
from vggexport.bundles.files import BundleFiles, CheckedFiles, read_bytes, read_manifest
from vggexport.bundles.folder import FolderFiles
from vggexport.bundles.names import FILE_MANAGERS
from vggexport.errors import ArtifactError
from vggexport.results.bundle import Integrity
from vggexport.system import lazy_imports


def check_integrity(
    files: FolderFiles | ArchiveFiles,
    public_key: Path | None = None,
    advance: Callable[[int, int], None] = lambda _done, _total: None,
) -> Integrity:
    """Checks the signature, and then every file; nothing is believed before that.

    Where a public key is given, its owner must have signed. ``advance`` is told how many files are
    done, and of how many.

    Raises:
        ArtifactError: The list of digests or the manifest is not readable.
        InputError: The key is not.
        Unavailable: The package that knows signatures is not installed.
    """
    checksums = read_bytes(files, CHECKSUMS)
    is_signed = SIGNATURE in files.names
    if public_key and (problem := _signature_problem(files, checksums, public_key)):
        return Integrity(len(files.names), is_signed, is_verified=False, problems=(problem,))
    listed = _decoded(files, checksums)
    problems = _file_problems(files, listed, advance)
    if not problems:
        checked = CheckedFiles(files, listed)
        manifest = read_manifest(checked)
        if not files.is_dated(manifest.moment):
            problems = ("the dates of its files were changed",)
        elif read_bytes(checked, LABELS) != manifest.label_lines:
            problems = (f"{LABELS} does not name the classes as {MANIFEST} does",)
    verified = public_key is not None and not problems
    return Integrity(len(files.names), is_signed, verified, problems, {} if problems else listed)


def _signature_problem(files: BundleFiles, checksums: bytes, public_key: Path) -> str | None:
    if SIGNATURE not in files.names:
        return "it is not signed, and a signature of the key's owner is demanded"
    verify = lazy_imports.load(SIGNING, "verify")
    if verify(checksums, read_bytes(files, SIGNATURE), public_key):
        return None
    return f"its signature is not by the owner of {public_key.name}, or not of this bundle"


def _decoded(files: BundleFiles, checksums: bytes) -> dict[str, str]:
    try:
        return parse_checksums(checksums.decode())
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{files.path}: {CHECKSUMS} is not text: get it again") from error


def _stray(name: str) -> str:
    if name.rpartition("/")[2] in FILE_MANAGERS:
        return f"{name} was left by a file manager and is not part of the bundle: remove it"
    return f"{name} was added"


def _file_problems(
    files: BundleFiles, listed: dict[str, str], advance: Callable[[int, int], None]
) -> tuple[str, ...]:
    names = [name for name in files.names if name not in UNLISTED]
    problems = [f"{name} is missing" for name in sorted(set(listed) - set(names))]
    for done, name in enumerate(names, start=1):
        if name not in listed:
            problems.append(_stray(name))
        else:
            with files.open(name) as file:
                if measure(file).sha256 != listed[name]:
                    problems.append(f"{name} was changed")
        advance(done, len(names))
    return tuple(problems)
