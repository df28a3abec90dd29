"""Writing results: whole or not at all.

Everything goes to a temporary name beside its place and is renamed when it is whole, so a killed
run leaves the old file or none.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from vggexport.errors import Advice, OutputError, Unfinished

NAME_A_DIRECTORY = Advice("name a directory with {}", "output")

_NEW: set[Path] = set()
"""Temporary folders of outputs that must not be there yet when they are published."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def output_folder(
    target: Path, *companions: Path, force: bool = False, directory_marker: str | None = None
) -> Iterator[Path]:
    """A temporary folder beside ``target`` for everything that is on its way there.

    Entered before the work begins, so that a place that cannot be written costs no work. Left with
    nothing behind, however the work ended; a killed process leaves a hidden folder.

    Args:
        target: The file or directory that is to be written.
        companions: Files that are to be written beside it.
        force: Replace them if they exist.
        directory_marker: Name of a file that every directory like the target holds; None where the
            target is a file. A directory without it is of another kind and never replaced.

    Raises:
        OutputError: One exists and ``force`` is not set or it is of another kind, or the folder
            cannot be written.
        Unfinished: The disk is full, or the place is gone.
    """
    if directory_marker is not None:
        _check_directory(target, directory_marker, force=force)
    for path in companions if directory_marker is not None else (target, *companions):
        _check_file(path, force=force)
    folder = _make_folder(target)
    if not force:
        _NEW.add(folder)
    try:
        yield folder
    except OSError as error:
        if is_full(error):
            raise Unfinished(_full_message(target, error)) from error
        if not folder.exists():
            raise Unfinished(
                f"the folder of {target} was removed or renamed meanwhile: make it, and run again"
            ) from error
        raise
    finally:
        _NEW.discard(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for what runtimes and decoders want as files, gone afterwards.

    Raises:
        Unfinished: The disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="vggexport-") as name:
        try:
            yield Path(name)
        except OSError as error:
            if error.errno in _FULL:
                place = Path(name).parent
                raise Unfinished(
                    f"no room in the temporary folder {place}: {error.strerror}; make room or name "
                    "another in TMPDIR"
                ) from error
            raise


def publish(folder: Path, *targets: Path) -> None:
    """Gives whole files and directories their names.

    All bytes reach the disk before the first name changes hands. In the folder they have the names
    of their targets, the most important first.

    Raises:
        OutputError: Another run wrote one since, which nobody asked to replace.
    """
    for target in targets if folder in _NEW else ():
        if target.exists():
            raise OutputError(
                f"output {target} was written by another run while this one worked",
                Advice("pass {} to replace it", "force"),
                "name another",
            )
    for target in targets:
        _sync(folder / target.name)
    for target in targets:
        if (folder / target.name).is_dir():
            _replace_directory(folder, target)
        else:
            (folder / target.name).replace(target)


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Writes a file under another name, and renames it when it is whole."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Writes a small JSON file."""
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def check_directory_name(path: Path) -> None:
    """Refuses a place that cannot be another directory's: the working one, one above it, the root.

    Raises:
        OutputError: It is one.
    """
    if path.name in {"", ".."}:
        raise OutputError(f"output {path} has no name of its own", NAME_A_DIRECTORY)


def check_no_directory(path: Path, ending: str) -> None:
    """Refuses a directory where a file goes.

    Raises:
        OutputError: It is one; it says how a file in it may be called.
    """
    if path.is_dir():
        example = path / f"vgg_d{ending}"
        raise OutputError(f"output {path} is a directory: name a file, such as {example}")


def is_full(error: OSError) -> bool:
    """Whether it says that there is no room, rather than that something is wrong."""
    return error.errno in _FULL


def _check_file(path: Path, *, force: bool) -> None:
    """Refuses a place where no file may go."""
    if path.is_dir():
        raise OutputError(f"output {path} is a directory: name a file")
    if path.exists() and not path.is_file():
        raise OutputError(f"output {path} is a device or a pipe: name a file")
    _check_free(path, force=force)


def _check_directory(path: Path, marker: str, *, force: bool) -> None:
    """Refuses a place where no directory may go: one replaced takes all with it that is in it."""
    check_directory_name(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"output {path} is not a directory", NAME_A_DIRECTORY)
    _check_free(path, force=force)
    if path.is_dir() and any(path.iterdir()) and not (path / marker).is_file():
        raise OutputError(
            f"output {path} is a directory without {marker}, which is not replaced: remove it, or "
            "name another"
        )


def _check_free(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        replace = Advice("pass {} to replace it", "force")
        raise OutputError(f"output {path} exists", replace, "name another")


def _sync(path: Path) -> None:
    """Waits until a file's bytes, or those of all files in a directory, are on the disk."""
    for file in [part for part in path.rglob("*") if part.is_file()] if path.is_dir() else [path]:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def _replace_directory(folder: Path, target: Path) -> None:
    """Renames a directory, the old one first: no name goes over a directory that holds anything."""
    if not (target.exists() or target.is_symlink()):
        (folder / target.name).rename(target)
        return
    aside = Path(tempfile.mkdtemp(dir=folder)) / target.name
    target.rename(aside)
    with ExitStack() as undo:
        undo.callback(aside.rename, target)
        (folder / target.name).rename(target)
        undo.pop_all()


def _make_folder(target: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        if is_full(error):
            raise Unfinished(_full_message(target, error)) from error
        raise OutputError(
            f"cannot write to {target.parent}: {error.strerror}; name a folder that exists and "
            "that you may write to"
        ) from error


def _full_message(target: Path, error: OSError) -> str:
    free = shutil.disk_usage(target.parent).free
    return (
        f"no room for {target}: {error.strerror}, {free:,} bytes are free in its folder; make room "
        "or write elsewhere"
    )


@contextmanager
def made_folder(path: Path) -> Iterator[Path]:
    """A folder for several outputs: made if it is missing, and gone again if nothing came into it.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {path}: {error.strerror}; name another with -o"
        ) from error
    try:
        yield path
    finally:
        if not any(path.iterdir()):
            path.rmdir()
