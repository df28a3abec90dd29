"""The report of ``gpu-check`` as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def markdown(report: Mapping[str, Any]) -> str:
    """Card, driver and versions, then a table a part."""
    return "\n".join(_lines(report))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    machine = report["machine"]
    gpu = machine["gpu"]
    card = f"{gpu['name']}, driver {gpu['driver']}" if gpu else "no GPU that nvidia-smi tells of"
    yield f"# {report['provider']}: {'passed' if report['passed'] else 'FAILED'}\n"
    yield f"{card}; {_pairs(machine['found'])}"
    here, there = report["versions"]["here"], report["versions"]["pack"]
    yield f"\nPython {machine['python']}, {_pairs(here)}"
    others = {name: there.get(name) for name, version in here.items() if there.get(name) != version}
    yield f"\nThe pack was made with {_pairs(others)}\n" if others else ""
    yield from (f"- **{failure}**" for failure in report["failures"])
    for name, found in report.items():
        if isinstance(found, Mapping) and name not in ("machine", "versions"):
            yield f"\n## {name}\n"
            yield from _part(found)


def _part(found: Mapping[str, Any]) -> Iterator[str]:
    """A row an entry; a row a batch where an entry is a list."""
    rows = {
        f"{name}, batch {row['batch']}": {k: v for k, v in row.items() if k != "batch"}
        for name, entry in found.items()
        if isinstance(entry, list)
        for row in entry
        if isinstance(row, Mapping)
    }
    plain = {name: entry for name, entry in found.items() if not isinstance(entry, list)}
    rows |= {n: e if isinstance(e, Mapping) else {"value": e} for n, e in plain.items()}
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    yield _row(["", *columns])
    yield _row(["---"] * (len(columns) + 1))
    for name, row in rows.items():
        yield _row([name, *(_cell(row.get(column, "")) for column in columns)])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return _pairs(value)
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
