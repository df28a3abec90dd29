"""What the reports of both sides measured, put beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vggexport.bundles.evidence import BENCHMARK, EVALUATE, VERIFY, Evidence, Row, number
from vggexport.results.diff import Figure
from vggexport.workflows.diff.sides import ComparedModel, Side

PERCENT = 100


def measured_figures(
    old: ComparedModel, new: ComparedModel, former: Side, latter: Side
) -> Iterator[Figure]:
    """Figures of both sides' reports, put beside each other where the conditions are the same."""
    before, after = _measured(old, former.evidence), _measured(new, latter.evidence)
    for key in dict.fromkeys((*before, *after)):
        name, condition, unit = key
        yield Figure(name, condition, unit, before.get(key), after.get(key))


def _measured(
    model: ComparedModel, evidence: Sequence[Evidence]
) -> dict[tuple[str, str, str], float]:
    """Figures by name, condition and unit."""
    found = {}
    for report in evidence:
        for row in report.rows(model.name):
            for name, unit, value in _READERS.get(report.kind, lambda _: ())(row):
                if value is not None:
                    found[name, _condition(report, row), unit] = value
    return found


def _accuracy(row: Row) -> Iterator[tuple[str, str, float | None]]:
    for name, key in (("top-1", "top1"), ("top-5", "top5"), ("agreement", "agreement")):
        share = number(row, key)
        yield name, "%", None if share is None else PERCENT * share


def _latency(row: Row) -> Iterator[tuple[str, str, float | None]]:
    for name in ("p50", "p90", "p99"):
        yield f"latency {name}", "ms", number(row, "latency_ms", name)
    yield "load", "ms", number(row, "load_ms")


def _parity(row: Row) -> Iterator[tuple[str, str, float | None]]:
    yield "logit SQNR", "dB", number(row, "metrics", "logit_sqnr_db")


_READERS = {EVALUATE: _accuracy, BENCHMARK: _latency, VERIFY: _parity}


def _condition(report: Evidence, row: Row) -> str:
    """Under which a figure was measured: only those of one condition are beside each other."""
    if report.kind == BENCHMARK:
        keys = ("provider", "threads", "batch")
        machine = report.data.get("environment")
        processor = machine.get("cpu_model") if isinstance(machine, dict) else None
        parts = [f"{key} {row.get(key)}" for key in keys]
        return ", ".join([*parts, str(processor)] if processor else parts)
    images = row.get("images", report.data.get("images"))
    return f"{images} images"
