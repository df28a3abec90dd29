"""JSON reports of the other commands, as far as a model card quotes them and a bundle trusts them.

They are files that somebody hands in: a key that is missing or of another kind is a plain error.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from vggexport.errors import InputError, one_line

SCHEMA = 1
MAX_REPORT_BYTES = 1 << 26

VERIFY, EVALUATE, BENCHMARK, BUILD, EXPORT = "verify", "evaluate", "benchmark", "build", "export"

Row = Mapping[str, Any]

_PATH_KEYS = frozenset({"path", "a", "b", "baseline"})
"""Keys of our reports whose values are paths; sentences and other keys may hold them, too."""

_FOLDERS = re.compile(r"""(?<![\w./])/(?:[^\s/'",:;]+/)+|\b[A-Za-z]:\\(?:[^\s\\'",:;]+\\)+""")
"""What is in front of a name in an absolute path, as POSIX or Windows has it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One report.

    Attributes:
        path: Its file.
        kind: Which command wrote it.
        data: What it says.
        content: What is packed: the file's bytes, without the folders of the sender's machine.
    """

    path: Path
    kind: str
    data: Mapping[str, Any]
    content: bytes = b""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a report.

        Raises:
            InputError: It cannot be read, or is not the JSON of one of the commands.
        """
        try:
            content = _read(path)
            told = json.loads(content)
            data = _without_folders(told)
            if data != told:
                content = (json.dumps(data, indent=2) + "\n").encode()
            return replace(cls.of(path, data), content=content)
        except FileNotFoundError as error:
            raise InputError(f"report {path} does not exist") from error
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(
                f"report {path} cannot be used ({one_line(error)}): name the JSON of verify, "
                "evaluate, benchmark or a build command"
            ) from error

    @classmethod
    def of(cls, path: Path, data: Any) -> Self:
        """A report that was parsed.

        Raises:
            ValueError: It is not one of ours.
        """
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise ValueError(f"no object of schema {SCHEMA}")
        evidence = cls(path, _kind(data), data)
        try:
            rows = list(evidence._rows())
        except (KeyError, TypeError) as error:
            raise ValueError(f"its results are not as they should be: {error}") from error
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("its results are not objects")
        return evidence

    @property
    def failures(self) -> tuple[str, ...]:
        """Why it speaks against shipping, a clause each; empty if it does not."""
        gate = self.data.get("gate")
        verdict = gate.get("verdict") if isinstance(gate, dict) else None
        found = [f"{self.path.name} failed"] if self.data.get("passed") is False else []
        if verdict == "fail":
            found.append(f"the gate of {self.path.name} failed")
        return tuple(found)

    def rows(self, name: str, sha256: str | None = None) -> list[Row]:
        """What it says of a model file of that name.

        Rows on other bytes than those of a digest are left out; those of versions that knew no
        digests are always taken.
        """
        named = [row for row in self._rows() if Path(str(row.get("path"))).name == name]
        return [row for row in named if not sha256 or row.get("sha256") in (None, sha256)]

    def proves(self, name: str) -> bool:
        """Whether all that it says of a file is said of bytes that it knows."""
        return all(row.get("sha256") for row in self.rows(name))

    def _rows(self) -> Iterator[Any]:
        if self.kind == BUILD:
            yield self.data["artifact"]
        elif self.kind == EXPORT:
            yield from (file["artifact"] for file in self.data["files"])
        elif self.kind == VERIFY:
            yield from self.data["candidates"]
            yield self.data["reference"]
        else:
            yield from self.data["results"]


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        text = file.read(MAX_REPORT_BYTES + 1)
    if len(text) > MAX_REPORT_BYTES:
        raise ValueError(f"more than {MAX_REPORT_BYTES:,} bytes")
    return text


def _without_folders(data: Any) -> Any:
    """A report that names files, and not where they lay on the machine that wrote it."""
    paths = sorted(filter(lambda p: _name(p) != p, set(_paths(data))), key=len, reverse=True)

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(part) for key, part in value.items()}
        if isinstance(value, list):
            return [strip(part) for part in value]
        if not isinstance(value, str):
            return value
        for path in paths:
            value = value.replace(path, _name(path))
        return _FOLDERS.sub("", value)

    return strip(data)


def _paths(data: Any) -> Iterator[str]:
    """Values of the keys that hold paths, wherever they are."""
    if isinstance(data, dict):
        yield from (v for k, v in data.items() if k in _PATH_KEYS and isinstance(v, str))
    for part in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from _paths(part)


def _name(path: str) -> str:
    """The last part, as either system separates them."""
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _kind(data: Mapping[str, Any]) -> str:
    """Which command writes an object with such keys."""
    for key, kind in (("candidates", VERIFY), ("artifact", BUILD), ("files", EXPORT)):
        expected = dict if kind == BUILD else list
        if isinstance(data.get(key), expected):
            return kind
    results = data.get("results")
    if isinstance(results, list):
        latency = any(isinstance(r, dict) and "latency_ms" in r for r in results)
        return BENCHMARK if latency or "environment" in data else EVALUATE
    raise ValueError("it has the keys of no command's report")


def number(row: Row, *keys: str) -> float | None:
    """A number somewhere in a row; None where it is not, or is none."""
    value: Any = row
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # JSON has integers beyond all floats, and Python's reader knows NaN and Infinity.
    return float(value) if is_number and abs(value) <= sys.float_info.max else None
