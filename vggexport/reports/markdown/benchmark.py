"""A benchmark as the summary of a CI job: the tables of the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from vggexport.reports import benchmark_tables
from vggexport.results.benchmark import BenchmarkReport
from vggexport.system.markdown import document, escaped, terms


def latency(report: BenchmarkReport) -> str:
    """All of it as GitHub-flavoured Markdown."""
    return document(
        f"## {'❌' if report.failures else '✅'} vggexport benchmark",
        f"**Gate: {escaped(benchmark_tables.gate(report, report.gate))}.**" if report.gate else "",
        _items(benchmark_tables.judged(report)),
        *(
            f"### {sheet.title}\n\n{sheet.to_markdown()}"
            for sheet in benchmark_tables.sheets(report)
        ),
        _items(f"{name}: {text}" for name, text in benchmark_tables.sustained(report)),
        _items(f"left out: {reason}" for reason in benchmark_tables.reasons(report)),
        f"### Environment\n\n{terms(benchmark_tables.environment(report))}",
        _items(f"note: {benchmark_tables.shortened(report, note)}" for note in report.notes),
    )


def _items(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in lines)
