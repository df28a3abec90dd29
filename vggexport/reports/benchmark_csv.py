"""A benchmark as CSV, for spreadsheets and dashboards."""

from __future__ import annotations

import csv
import io
from typing import Any

from vggexport.results.benchmark import BenchmarkReport

KEYS = (
    "path", "format", "precision", "runtime", "provider_requested", "provider", "threads", "batch",
    "scenario", "runs", "throughput_per_s", "load_ms", "first_ms", "transfer_ms", "peak_rss_bytes",
    "gpu_memory_bytes", "size_bytes", "macs", "gflop_per_s", "ceiling_gflop_per_s", "ceiling_share",
)  # fmt: skip
"""Keys of a result in the JSON that are columns here, beside those of its latency."""


def latency(report: BenchmarkReport) -> str:
    """A row a result, by the JSON's keys; what is not known is empty."""
    rows = [_flat(result.to_json()) for result in report.results]
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat(result: dict[str, Any]) -> dict[str, Any]:
    latency = {f"{name}_ms": value for name, value in result["latency_ms"].items()}
    return {key: result[key] for key in KEYS} | latency
