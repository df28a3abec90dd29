"""JSON reports of the other commands, as far as a model card quotes them and a bundle trusts them.

They are files that somebody hands in: a key that is missing or of another kind is a plain error.
"""

from __future__ import annotations

import json
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


@dataclass(frozen=True, slots=True)
class Evidence:
    """One report.

    Attributes:
        path: Its file.
        kind: Which command wrote it.
        data: What it says.
        content: The file's bytes, which are what is packed: the file may be another by then.
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
            return replace(cls.of(path, json.loads(content)), content=content)
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
            raise ValueError("its results are no objects")
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

    def rows(self, name: str) -> list[Row]:
        """What it says of a model file, by that file's name."""
        return [row for known, row in self._named() if known == name]

    def names(self) -> frozenset[str]:
        """Names of the files that it speaks of."""
        return frozenset(name for name, _ in self._named())

    def digests(self) -> dict[str, str]:
        """SHA-256 of the files that it knows them of, by name."""
        return {name: row["sha256"] for name, row in self._named() if row.get("sha256")}

    def _named(self) -> Iterator[tuple[str, Row]]:
        return ((Path(str(row.get("path"))).name, row) for row in self._rows())

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
