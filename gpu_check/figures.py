"""The figures that a GPU is held to, out of the report of ``gpu-check``; what lacks is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SHARED_BATCH = 64
COMPILED = "compiled, batch 1"


def figures(report: Mapping[str, Any]) -> dict[str, float]:
    """Ratios of what was measured in this run."""
    return dict(_figures(report))


def _figures(report: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    best = _best(report.get("variants", {}))
    compiled = report.get("pytorch", {}).get(COMPILED, {}).get("p50_ms")
    if best and compiled:
        yield "float16, batch 1: p50 over PyTorch's, compiled", best / compiled
    ceiling = report.get("ceilings", {}).get("float16")
    rate = _row(report, "float16", SHARED_BATCH).get("gflop_per_s")
    if ceiling and rate:
        yield "float16, batch 64: share of the matrix product's rate", rate / ceiling
    int8, float16 = (_row(report, name, 1).get("p50_ms") for name in ("int8", "float16"))
    if int8 and float16:
        yield "int8, batch 1: p50 over float16's", int8 / float16


def _best(variants: Mapping[str, Any]) -> float | None:
    """The least median of float16 at batch 1, whatever the options."""
    found = [
        row["p50_ms"]
        for name, row in variants.items()
        if name.startswith("float16, batch 1,") and "p50_ms" in row
    ]
    return min(found, default=None)


def _row(report: Mapping[str, Any], precision: str, batch: int) -> Mapping[str, Any]:
    rows = report.get("latency", {}).get(precision, [])
    return next((row for row in rows if row["batch"] == batch), {})
