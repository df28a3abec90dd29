"""What texts and pages say of a pruning."""

from __future__ import annotations

from vggexport.network.spec import VGGSpec
from vggexport.results.prune import FLOAT32_BYTES, Narrowed, PlanPoint, PruningReport
from vggexport.system.number_text import MEGA, counted, decibels, share

COLUMNS = ("operations", "of all", "parameters", "float32", "planned", "widths")


def points(report: PruningReport) -> list[PlanPoint]:
    """Those of the curve and the one asked for, the widest first."""
    found = [point for point in report.curve if point != report.chosen]
    found += [report.chosen] if report.chosen else []
    return sorted(found, key=lambda point: -point.macs)


def cells(spec: VGGSpec, point: PlanPoint) -> tuple[str, ...]:
    """A point under :data:`COLUMNS`; widths block by block."""
    widths = iter(point.widths.values())
    return (
        f"1/{1 / point.macs_share:.2f}",
        share(point.macs_share),
        f"{point.parameters:,}",
        f"{point.size_bytes / MEGA:.1f} MB",
        decibels(point.logit_sqnr_db),
        " / ".join(" ".join(str(next(widths)) for _ in block) for block in spec.blocks),
    )


def plan(report: PruningReport) -> str:
    """What the planned figures are."""
    return (
        "SQNR of the logits against the original network, expected on images like the "
        f"{report.images} that channels were chosen by"
    )


def findings(made: Narrowed, spec: VGGSpec) -> dict[str, str]:
    """What came out, by name."""
    metrics = made.metrics
    return {
        "sha256": made.sha256,
        "operations": f"{made.spec.macs / spec.macs:.1%} of the original network's",
        "size": f"{made.spec.parameters * FLOAT32_BYTES / MEGA:.1f} MB as float32, "
        f"{made.spec.parameters / spec.parameters:.1%}",
        "logits": f"{decibels(metrics.logit_sqnr_db)} on {counted(made.images, 'image')} held out "
        f"(planned {decibels(made.pruning.predicted_logit_sqnr_db)}, promised "
        f"{decibels(made.pruning.promised_logit_sqnr_db)})",
        "agreement": f"the same best class on {share(metrics.top1_agreement)} of those",
    }
