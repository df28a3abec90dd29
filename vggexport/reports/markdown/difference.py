"""A difference for a release note, or as a comment on a pull request."""

from __future__ import annotations

from vggexport.reports.difference_tables import bundle_table, headline, name, summary, tables
from vggexport.results.diff import DifferenceReport, ModelDifference
from vggexport.system.markdown import code, details, document, escaped

SHOWN = frozenset({"Reports"})
"""Tables that are not folded away."""


def difference(report: DifferenceReport) -> str:
    """All of it as GitHub-flavoured Markdown."""
    return document(
        "## vggexport diff",
        f"{code(report.old)} to {code(report.new)}: **{escaped(headline(report))}**",
        bundle_table(report).to_markdown() if report.facts else "",
        *(_model(model) for model in report.models),
        *(f"- removed {code(artifact.path)}" for artifact in report.removed),
        *(f"- added {code(artifact.path)}" for artifact in report.added),
    )


def _model(model: ModelDifference) -> str:
    parts = [f"### {escaped(name(model))}", escaped(summary(model))]
    for content in tables(model):
        text = content.to_markdown()
        title = f"{content.title} ({len(content.rows)})"
        parts.append(text if content.title in SHOWN else details(escaped(title), text))
    return "\n\n".join(parts)
