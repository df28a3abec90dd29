"""Results as text for a person at a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vggexport.reports.results import (
    BuildReport,
    CalibrationReport,
    CheckReport,
    ExportReport,
    Inspection,
    SummaryReport,
    VerifyReport,
)
from vggexport.spec import Layer, Precision

_MEGA, _GIGA, _GIBI = 10**6, 10**9, 2**30


def summary(report: SummaryReport) -> RenderableType:
    """The network's layers and totals."""
    spec = report.spec
    table = _table("layer", "kernel", "stride", "output", "parameters", "MACs", "receptive field")
    for layer in spec.layers:
        table.add_row(*map(Text, _layer_cells(layer)))
    mean = ", ".join(f"{value:g}" for value in spec.mean_rgb)
    totals = (
        f"VGG-{spec.configuration}: {spec.parameters:,} parameters, {spec.macs / _GIGA:.2f} GMAC "
        f"an image, {spec.parameters * 4 / _MEGA:.1f} MB in float32\n"
        f"input {spec.input_size}x{spec.input_size}x3, RGB 0...255 minus ({mean})"
    )
    return Group(table, Text(totals))


def _layer_cells(layer: Layer) -> tuple[str, ...]:
    side = layer.kernel_size
    return (
        layer.name,
        f"{side}x{side}" if side else "",
        str(layer.stride or ""),
        "x".join(map(str, layer.output_shape)),
        f"{layer.parameters:,}" if layer.parameters else "",
        f"{layer.macs:,}" if layer.macs else "",
        str(layer.receptive_field or ""),
    )


def build(report: BuildReport) -> RenderableType:
    """What was built, what the check found, and what to run next."""
    artifact = report.artifact
    calibration = artifact.calibration
    lines = {
        "artifact": artifact.path,
        "format": f"{artifact.format} {artifact.precision.value}, {artifact.input_dtype} input, "
        f"batch {artifact.batch or 'dynamic'}",
        "size": f"{(artifact.size_bytes or 0) / _MEGA:.1f} MB",
        "sha256": artifact.sha256 or "",
        "weights": artifact.weights.source + ("" if artifact.weights.trained else " (not trained)"),
    }
    if calibration:
        lines["calibration"] = (
            f"{calibration.samples} images of {calibration.source}, {calibration.method}, "
            f"fingerprint {calibration.fingerprint[:12]}"
        )
    if report.check:
        lines["check"] = _check(report.check)
    lines["cost"] = _cost(report.seconds, report.peak_rss_bytes)
    if not report.failures:
        lines["next"] = _next_command(report)
    return _grid(lines)


def _check(check: CheckReport) -> str:
    verdict = "FAILED" if check.failures else "passed"
    metrics = check.metrics
    same = round(metrics.top1_agreement * check.images)
    return (
        f"{verdict} on {check.images} images against the {check.reference}: max abs "
        f"{metrics.max_abs:.1e}, SQNR of the logits {metrics.logit_sqnr_db:.1f} dB, best class the "
        f"same on {same}"
    )


def _next_command(report: BuildReport) -> str:
    is_integer = report.artifact.precision.needs_ranges
    require = f" --require {Precision.INT8.value}" if is_integer else ""
    return f"vggexport inspect {report.artifact.path}{require}"


def export(report: ExportReport) -> RenderableType:
    """What was built, a line a file, and what to run next."""
    table = _table("file", "precision", "size", "seconds", "check", "logit SQNR")
    for file in report.files:
        artifact, check = file.artifact, file.check
        table.add_row(
            Text(artifact.path),
            artifact.precision.value,
            f"{(artifact.size_bytes or 0) / _MEGA:.1f} MB",
            f"{report.own_seconds(file):.1f}",
            ("FAILED, not kept" if file.failures else "passed") if check else "none",
            f"{check.metrics.logit_sqnr_db:.1f} dB" if check else "",
            style="bold" if file.failures else "",
        )
    seconds = dict(report.common_seconds)
    seconds["files"] = sum(map(report.own_seconds, report.files))
    lines = {"cost": _cost(seconds, report.peak_rss_bytes)}
    if paths := " ".join(shlex.quote(file.artifact.path) for file in report.kept):
        lines["next"] = f"vggexport verify {paths}\nvggexport benchmark {paths}"
    return Group(table, _grid(lines))


def verification(report: VerifyReport) -> RenderableType:
    """Every file against the reference; with layers, their SQNR in order."""
    table = _table(
        "file", "precision", "max abs", "SQNR", "logit SQNR", "top-1", "top-5", "verdict", "worst"
    )
    for candidate in report.candidates:
        metrics = candidate.metrics
        table.add_row(
            Text(candidate.runner.path),
            candidate.runner.precision.value,
            f"{metrics.max_abs:.1e}",
            f"{metrics.sqnr_db:.1f} dB",
            f"{metrics.logit_sqnr_db:.1f} dB",
            f"{metrics.top1_agreement:.2%}",
            f"{metrics.top5_agreement:.2%}",
            "FAILED" if candidate.failures else "passed",
            Text(candidate.worst_image),
            style="bold" if candidate.failures else "",
        )
    reference = report.reference
    lines = {
        "reference": f"{reference.path}, {reference.precision.value}, {reference.runtime}",
        "images": f"{report.images} of {report.source}",
        "cost": _cost(report.seconds, report.peak_rss_bytes),
    }
    parts: list[RenderableType] = [table, _grid(lines)]
    if any(candidate.layers for candidate in report.candidates):
        parts.append(_layers(report))
    return Group(*parts)


def _layers(report: VerifyReport) -> Table:
    """SQNR of each layer, a column a file."""
    candidates = [candidate for candidate in report.candidates if candidate.layers]
    table = _table("SQNR of layer", *(c.runner.path for c in candidates))
    for rows in zip(*(candidate.layers for candidate in candidates), strict=True):
        table.add_row(Text(rows[0].name), *(f"{row.sqnr_db:.1f} dB" for row in rows))
    return table


def calibration(report: CalibrationReport) -> RenderableType:
    """The ranges and where they were saved."""
    table = _table("layer", "low", "high")
    for name, (low, high) in report.ranges.items():
        table.add_row(Text(name), f"{low:.4g}", f"{high:.4g}")
    record = report.calibration
    lines = {
        "ranges": report.path,
        "images": f"{record.samples} of {record.source}, {record.method}",
        "fingerprint": record.fingerprint,
        "cost": _cost(report.seconds, report.peak_rss_bytes),
        "next": f"vggexport onnx --quantize --ranges {report.path} (with the same --weights)\n"
        f"vggexport tflite --quantize --ranges {report.path}",
    }
    return Group(table, _grid(lines))


def inspection(report: Inspection) -> RenderableType:
    """Metadata, inputs, outputs and operators."""
    table = _table("operator", "type", "reads", "weights", "writes")
    islands = set(report.islands)
    for operator in report.operators:
        table.add_row(
            Text(operator.name),
            Text(operator.type),
            operator.inputs[0] if operator.inputs else "",
            operator.weights_dtype or "",
            " ".join(operator.outputs),
            style="bold" if operator in islands else "",
        )
    lines = {f"input {t.name}": f"{t.dtype} {_shape(t.shape)}" for t in report.inputs}
    lines |= {f"output {t.name}": f"{t.dtype} {_shape(t.shape)}" for t in report.outputs}
    lines["parameters"] = f"{report.parameters:,}"
    lines["size"] = f"{report.size_bytes / _MEGA:.1f} MB"
    lines["float islands"] = ", ".join(o.name for o in report.islands) or "none"
    if report.artifact:
        artifact = report.artifact
        lines["network"] = f"VGG-{artifact.spec.configuration}, {artifact.spec.classes} classes"
        lines["precision"] = artifact.precision.value
        lines["weights"] = f"{artifact.weights.source}, SHA-256 {artifact.weights.sha256}"
        if artifact.calibration:
            lines["calibration"] = (
                f"{artifact.calibration.samples} images of {artifact.calibration.source}, "
                f"{artifact.calibration.method}"
            )
        lines["made with"] = ", ".join(f"{k} {v}" for k, v in artifact.tools.items())
    return Group(table, _grid(lines))


def _shape(shape: tuple[int | str, ...]) -> str:
    return "x".join(map(str, shape))


def _cost(seconds: Mapping[str, float], peak_rss_bytes: int) -> str:
    parts = ", ".join(f"{step} {value:.1f} s" for step, value in seconds.items())
    return f"{sum(seconds.values()):.1f} s ({parts}), peak {peak_rss_bytes / _GIBI:.2f} GiB"


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=index == 0)
    return table


def _grid(lines: dict[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in lines.items():
        grid.add_row(Text(name), Text(value))
    return grid
