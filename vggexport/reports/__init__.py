"""Renderings of results: text for a person, files for people and programs."""

from __future__ import annotations

from collections.abc import Mapping

VERIFICATION_FILES: Mapping[str, str] = {
    "markdown": "vggexport.reports.markdown.verification:verification",
    "junit": "vggexport.reports.junit.verification:verification",
    "html": "vggexport.reports.html.verification:verification",
}
"""What a verification can be written to, by the option's name."""

EVALUATION_FILES: Mapping[str, str] = {
    "markdown": "vggexport.reports.markdown.evaluation:evaluation",
    "junit": "vggexport.reports.junit.evaluation:evaluation",
    "html": "vggexport.reports.html.evaluation:evaluation",
}
"""The same for an evaluation."""

LATENCY_FILES: Mapping[str, str] = {
    "save_samples": "vggexport.reports.benchmark_files:samples",
    "csv": "vggexport.reports.benchmark_files:rows",
    "markdown": "vggexport.reports.markdown.benchmark:latency",
    "html": "vggexport.reports.html.benchmark:latency",
}
"""What a benchmark can be written to, by the option's name."""

DIFFERENCE_FILES: Mapping[str, str] = {
    "markdown": "vggexport.reports.markdown.difference:difference",
}
"""What a difference can be written to, by the option's name."""

PRUNING_FILES: Mapping[str, str] = {
    "html": "vggexport.reports.html.pruning:pruning",
}
"""What a pruning can be written to, by the option's name."""
