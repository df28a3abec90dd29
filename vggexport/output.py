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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vggexport.errors import OutputError, Unfinished

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def output_folder(target: Path, *companions: Path, force: bool = False) -> Iterator[Path]:
    """A temporary folder beside ``target`` for everything that is on its way there.

    Entered before the work begins, so that a place that cannot be written costs no work. Left with
    nothing behind, however the work ended; a killed process leaves a hidden folder.

    Args:
        target: The file that is to be written.
        companions: Files that are to be written beside it.
        force: Replace them if they exist.

    Raises:
        OutputError: One exists and ``force`` is not set, or the folder cannot be written.
        Unfinished: The disk is full.
    """
    for path in (target, *companions):
        if path.is_dir():
            raise OutputError(f"output {path} is a directory: name a file with -o")
        if path.exists() and not path.is_file():
            raise OutputError(f"output {path} is a device or a pipe: name a file with -o")
        if path.exists() and not force:
            raise OutputError(f"output {path} exists: pass --force to replace it, or -o another")
    folder = _make_folder(target)
    try:
        yield folder
    except OSError as error:
        if error.errno in _FULL:
            raise Unfinished(_full_message(target, error)) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, *targets: Path) -> None:
    """Gives whole files their names.

    All bytes reach the disk before the first name changes hands.

    Args:
        folder: Where the files are, under the names of their targets.
        targets: Where they go, the most important first.
    """
    for target in targets:
        with (folder / target.name).open("rb") as file:
            os.fsync(file.fileno())
    for target in targets:
        (folder / target.name).replace(target)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Writes a small JSON file."""
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _make_folder(target: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        if error.errno in _FULL:
            raise Unfinished(_full_message(target, error)) from error
        raise OutputError(
            f"cannot write to {target.parent}: {error.strerror}; name a folder that exists and "
            "that you may write to with -o"
        ) from error


def _full_message(target: Path, error: OSError) -> str:
    free = shutil.disk_usage(target.parent).free
    return (
        f"no room for {target}: {error.strerror}, {free:,} bytes are free in its folder; make room "
        "or write elsewhere with -o"
    )
