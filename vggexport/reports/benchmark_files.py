"""A benchmark for programs: CSV for spreadsheets and dashboards, and every timing as JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from vggexport.results.benchmark import BenchmarkReport
from vggexport.results.document import SCHEMA

_COLUMNS = (
    "path", "format", "precision", "runtime", "provider_requested", "provider", "threads", "batch",
    "scenario", "runs", "throughput_per_s", "load_ms", "first_ms", "transfer_ms", "peak_rss_bytes",
    "gpu_memory_bytes", "size_bytes", "macs", "gflop_per_s", "ceiling_gflop_per_s", "ceiling_share",
)  # fmt: skip
"""Keys of a result in the JSON that are columns here, beside those of its latency."""

_TIMED = ("path", "provider", "threads", "batch", "scenario", "measured_at", "rounds", "samples_ms")


def rows(report: BenchmarkReport) -> str:
    """A row a result, by the JSON's keys; what is not known is empty."""
    flat = [_flat(result.to_json()) for result in report.results]
    out = io.StringIO()
    writer = csv.DictWriter(out, flat[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def _flat(result: dict[str, Any]) -> dict[str, Any]:
    latency = {f"{name}_ms": value for name, value in result["latency_ms"].items()}
    return {key: result[key] for key in _COLUMNS} | latency


def samples(report: BenchmarkReport) -> str:
    """Every timing in milliseconds, how many each round has, and what they are of."""
    results = [{k: result.to_json()[k] for k in _TIMED} for result in report.results]
    return json.dumps({"schema": SCHEMA, "results": results}) + "\n"
