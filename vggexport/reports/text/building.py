"""Files built and ranges taken, as text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from calibration import SYNTHETIC
from vggexport.artifact import Artifact
from vggexport.precision import Precision
from vggexport.reports.text import next_steps
from vggexport.reports.text.layout import Grid, Table
from vggexport.results.build import BuildReport, CalibrationReport, CheckReport, ExportReport
from vggexport.results.calibration_curve import STEADY_DB, CurvePoint, sufficient_images
from vggexport.system.number_text import MEGA, cost, counted, decibels, difference, share

_SYNTHETIC_RANGES = (
    "the activation ranges are those of synthetic images, which say little about trained weights: "
    "calibrate on your own with --calibration-data DIR"
)


def build(report: BuildReport, weights: str, data: str = SYNTHETIC) -> RenderableType:
    """What was built, what the check found, and what to run next."""
    artifact = report.artifact
    calibration = artifact.calibration
    lines = {
        "artifact": artifact.path,
        **({"beside it": ", ".join(report.beside)} if report.beside else {}),
        "format": f"{artifact.format} {artifact.numbers}, {artifact.input_dtype} input, "
        f"batch {artifact.batch or 'dynamic'}",
        "size": f"{(artifact.size_bytes or 0) / MEGA:.1f} MB",
        "sha256": artifact.sha256 or "",
        "weights": artifact.weights.source + ("" if artifact.weights.trained else " (not trained)"),
    }
    if (before := artifact.preprocessing) and not before.known:
        lines["pixels"] = f"{before.told}: state it with --preprocessing"
    if calibration:
        lines["calibration"] = (
            f"{counted(calibration.samples, 'image')} of {calibration.source}, "
            f"{calibration.method}, fingerprint {calibration.fingerprint[:12]}"
        )
    if report.check:
        lines["check"] = _check(report.check, data)
    if artifact.format == "onnx" and artifact.profile.cpu_dtype == Precision.INT8.value:
        lines["to run it"] = (
            "x86-64 CPUs without VNNI need ONNX Runtime's session option "
            "session.x64quantprecision=1: without it sums saturate, and best classes change"
        )
    lines["cost"] = cost(report.seconds, report.peak_rss_bytes)
    if not report.failures:
        lines["next"] = _next_commands(artifact, weights, data)
    if _has_doubtful_ranges(artifact):
        lines["note"] = _SYNTHETIC_RANGES
    return Grid(lines)


def _has_doubtful_ranges(artifact: Artifact) -> bool:
    """Whether trained weights have ranges of images that the tool made."""
    taken = artifact.calibration
    return bool(artifact.weights.trained and taken and taken.source == SYNTHETIC)


def _check(check: CheckReport, data: str) -> str:
    verdict = "FAILED" if check.failures else "passed"
    metrics = check.metrics
    same = round(metrics.top1_agreement * check.images)
    return (
        f"{verdict} on {_images(check, data)} against the {check.reference}: max abs "
        f"{difference(metrics.max_abs)}, SQNR of the logits {decibels(metrics.logit_sqnr_db)}, the "
        f"same best class on {same}"
    )


def _images(check: CheckReport, data: str) -> str:
    """How many, and how many of them the tool made where the user gave some."""
    own = check.images - check.synthetic_images
    if not check.synthetic_images or (not own and data == SYNTHETIC):
        return counted(check.images, "image")
    if not own:
        return f"{counted(check.images, 'synthetic image')} (no picture was left for it)"
    return f"{counted(own, 'image')} and {check.synthetic_images} synthetic ones"


def _next_commands(artifact: Artifact, weights: str, data: str) -> str:
    is_integer = artifact.profile.needs_ranges and not artifact.target
    require = f" --require {Precision.INT8.value}" if is_integer else ""
    inspect = f"vggexport inspect {next_steps.quoted(artifact.path)}{require}"
    return "\n".join([inspect, *_verify([artifact], weights, data)])


def _verify(artifacts: Sequence[Artifact], weights: str, data: str) -> list[str]:
    """The command that compares files with their weights, where it says something.

    None where some of those were drawn, nor of files that were calibrated on the user's images, or
    are of trained weights: on the same images they look better than they are, and no others are
    known.
    """
    record, calibrated = artifacts[0].weights, any(a.calibration for a in artifacts)
    if record.initialized or (calibrated and (record.trained or data != SYNTHETIC)):
        return []
    return [next_steps.verify(weights, [artifact.path for artifact in artifacts], data)]


def export(report: ExportReport, weights: str, data: str = SYNTHETIC) -> RenderableType:
    """What was built, a line a file, and what to run next."""
    table = Table("file", "precision", "size", "seconds", "check", "logit SQNR", paths=True)
    for file in report.own:
        artifact, check = file.artifact, file.check
        table.add_row(
            artifact.path,
            artifact.precision.value,
            f"{(artifact.size_bytes or 0) / MEGA:.1f} MB",
            f"{sum(file.seconds.values()):.1f}",
            ("FAILED, not kept" if file.failures else "passed") if check else "none",
            decibels(check.metrics.logit_sqnr_db) if check else "",
            bold=bool(file.failures),
        )
    seconds = dict(report.common_seconds)
    seconds["files"] = sum(sum(file.seconds.values()) for file in report.own)
    lines = {"cost": cost(seconds, report.peak_rss_bytes)}
    if kept := [file.artifact for file in report.kept]:
        lines = {"beside them": "of each file its description, FILE.json", **lines}
        paths = " ".join(next_steps.quoted(artifact.path) for artifact in kept)
        verify = _verify(kept, weights, data)
        lines["next"] = "\n".join([*verify, f"vggexport benchmark {paths}"])
    if any(_has_doubtful_ranges(artifact) for artifact in kept):
        lines["note"] = _SYNTHETIC_RANGES
    return Group(table, Grid(lines))


def calibration(report: CalibrationReport, options: str = "") -> RenderableType:
    """The ranges and where they were saved."""
    table = Table("layer", "low", "high")
    for name, (low, high) in report.ranges.items():
        table.add_row(name, f"{low:.4g}", f"{high:.4g}")
    record = report.calibration
    ranges = f"--ranges {next_steps.quoted(report.path)}{options}"
    lines = {
        "ranges": report.path,
        "images": f"{record.samples} of {record.source}, {record.method}",
        "fingerprint": record.fingerprint,
        "cost": cost(report.seconds, report.peak_rss_bytes),
        "next": f"vggexport onnx --quantize {ranges}\nvggexport tflite --quantize {ranges}",
    }
    if record.source == SYNTHETIC:
        lines["note"] = _SYNTHETIC_RANGES
    parts: list[RenderableType] = [table, Grid(lines)]
    if report.curve:
        parts += ["", _curve(report.curve), Text(_sufficiency(report.curve))]
    return Group(*parts)


def _curve(curve: Sequence[CurvePoint]) -> Table:
    table = Table("images", "logit SQNR", "top-1 agreement", "largest range change", "in layer")
    for point in curve:
        table.add_row(
            str(point.images),
            decibels(point.logit_sqnr_db),
            share(point.top1_agreement),
            share(point.range_change),
            point.layer,
        )
    return table


def _sufficiency(curve: Sequence[CurvePoint]) -> str:
    found, last = sufficient_images(curve), curve[-1].images
    if found is None:
        return f"the SQNR still moves up to {last} images: pass more --calibration-samples"
    return f"from {found} images on, more images change the SQNR by at most {STEADY_DB:g} dB"
