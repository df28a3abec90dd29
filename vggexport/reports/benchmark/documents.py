"""A benchmark as files: CSV for spreadsheets, Markdown for merge requests, samples as JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from vggexport.reports.benchmark import columns
from vggexport.reports.benchmark.columns import Sheet
from vggexport.reports.benchmark.results import BenchmarkReport
from vggexport.reports.results import SCHEMA

CSV_KEYS = (
    "path", "format", "precision", "runtime", "provider_requested", "provider", "threads", "batch",
    "scenario", "runs", "throughput_per_s", "load_ms", "first_ms", "transfer_ms", "peak_rss_bytes",
    "gpu_memory_bytes", "size_bytes", "macs", "gflop_per_s", "ceiling_gflop_per_s", "ceiling_share",
)  # fmt: skip
"""Keys of a result in the JSON that are columns here, beside those of its latency."""

SAMPLE_KEYS = (
    *("path", "provider", "threads", "batch", "scenario", "measured_at", "rounds", "samples_ms"),
)


def csv_table(report: BenchmarkReport) -> str:
    """A row a result, by the JSON's keys; what is not known is empty."""
    rows = [_flat(result.to_json()) for result in report.results]
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat(result: dict[str, Any]) -> dict[str, Any]:
    latency = {f"{name}_ms": value for name, value in result["latency_ms"].items()}
    return {key: result[key] for key in CSV_KEYS} | latency


def samples(report: BenchmarkReport) -> str:
    """Every timing in milliseconds, how many each round has, and what they are of."""
    results = [{k: result.to_json()[k] for k in SAMPLE_KEYS} for result in report.results]
    return json.dumps({"schema": SCHEMA, "results": results}) + "\n"


def markdown(report: BenchmarkReport) -> str:
    """The tables of the terminal."""
    blocks = [f"## {sheet.title}\n\n{_table(sheet)}" for sheet in columns.sheets(report)]
    if report.gate:
        blocks.append(_escaped(columns.gate(report.gate)))
    lists = {
        "Sustained": [f"{name}: {text}" for name, text in columns.sustained(report)],
        "Left out": list(columns.reasons(report)),
        "Environment": [f"{k}: {v}" for k, v in columns.environment(report).items()],
        "Notes": report.notes,
    }
    for title, lines in lists.items():
        if lines:
            blocks.append("\n".join((f"## {title}\n", *(f"- {_escaped(line)}" for line in lines))))
    return "\n\n".join(blocks) + "\n"


def _table(sheet: Sheet) -> str:
    lines = [sheet.heads, ("---", *["---:"] * (len(sheet.heads) - 1))]
    lines += [tuple(map(_escaped, row)) for row in sheet.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    """Without what Markdown takes for markup: names of files hold underscores and pipes."""
    return "".join(f"\\{c}" if c in r"\`*_[]<>|#" else c for c in text)
