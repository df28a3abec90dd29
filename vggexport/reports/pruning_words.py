"""What texts and pages say of a pruning."""

from __future__ import annotations

from dataclasses import replace

from vggexport.network.provenance import LatencyRecord
from vggexport.network.spec import VGGSpec
from vggexport.results.prune import (
    FLOAT32_BYTES,
    Front,
    FrontFile,
    Narrowed,
    PlanPoint,
    PruningReport,
)
from vggexport.system.number_text import MEGA, counted, decibels, share


def columns(report: PruningReport) -> tuple[str, ...]:
    """Of a table of points; latency where it was measured of one."""
    latency = ("latency",) if report.chosen and report.chosen.latency else ()
    return ("operations", "of all", "parameters", "float32", "planned", *latency, "widths")


def points(report: PruningReport) -> list[PlanPoint]:
    """Those of the curve and the one asked for, the widest first."""
    found = [point for point in report.curve if point != report.chosen]
    found += [report.chosen] if report.chosen else []
    return sorted(found, key=lambda point: -point.macs)


def cells(report: PruningReport, point: PlanPoint) -> tuple[str, ...]:
    """A point under :func:`columns`; widths block by block."""
    latency = (f"{point.latency.ratio_p50:.3f}",) if point.latency else ("",)
    widths = iter(point.widths.values())
    return (
        f"1/{1 / point.macs_share:.2f}",
        share(point.macs_share),
        f"{point.parameters:,}",
        f"{point.size_bytes / MEGA:.1f} MB",
        decibels(point.logit_sqnr_db),
        *(latency if "latency" in columns(report) else ()),
        " / ".join(" ".join(str(next(widths)) for _ in block) for block in report.spec.blocks),
    )


def plan(report: PruningReport) -> str:
    """What the planned figures are."""
    return (
        "SQNR of the logits against the original network, expected on images like the "
        f"{report.images} that channels were chosen by"
    )


def latency(report: PruningReport) -> dict[str, str]:
    """What the measured latency is, by name; nothing where none was measured."""
    measured = report.chosen.latency if report.chosen else None
    if measured is None:
        return {}
    return {"latency": f"{measured.said} of the original network, float32 in {_where(measured)}"}


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


FRONT_COLUMNS = ("operations", "precision", "file", "SQNR", "same class", "latency", "p50")


def front_cells(file: FrontFile) -> tuple[str, ...]:
    """A file under :data:`FRONT_COLUMNS`; what was planned stands in the table of points."""
    latency, ends = file.latency, file.latency.ratio_ci95
    interval = f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else ""
    return (
        f"1/{1 / file.macs_share:.2f}",
        file.precision.value,
        f"{file.size_bytes / MEGA:.1f} MB",
        decibels(file.logit_sqnr_db),
        share(file.top1_agreement),
        f"{latency.ratio_p50:.3f}{interval}",
        f"{latency.p50_ms:.1f} ms",
    )


def front(front: Front) -> str:
    """What the figures of a front are."""
    busy = any(file.latency.busy for file in front.files)
    measured = replace(front.files[0].latency, busy=busy)
    return (
        "Each file took turns with the original network's float32 ONNX file, on "
        f"{_where(measured)}; SQNR of the logits and the best class are measured on "
        f"{counted(front.images, 'image')} held out, and latency is the median of one image"
    )


def _where(measured: LatencyRecord) -> str:
    busy = ", used by others" if measured.busy else ""
    threads = counted(measured.threads, "thread")
    return f"{measured.runtime}, {threads}, {measured.cpu_model}{busy}"
