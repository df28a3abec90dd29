"""Every timing of a benchmark as JSON."""

from __future__ import annotations

import json

from vggexport.results.benchmark import BenchmarkReport
from vggexport.results.document import SCHEMA

KEYS = (
    *("path", "provider", "threads", "batch", "scenario", "measured_at", "rounds", "samples_ms"),
)


def latency(report: BenchmarkReport) -> str:
    """Every timing in milliseconds, how many each round has, and what they are of."""
    results = [{k: result.to_json()[k] for k in KEYS} for result in report.results]
    return json.dumps({"schema": SCHEMA, "results": results}) + "\n"
