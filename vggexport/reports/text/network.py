"""Networks as text: the one of the paper, and the one in a file."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from vggexport.network.layers import Layer
from vggexport.reports.text.layout import Grid, Table
from vggexport.reports.text.training import recipe
from vggexport.results.build import Inspection
from vggexport.results.summary import SummaryReport
from vggexport.system.number_text import GIGA, MEGA, counted


def summary(report: SummaryReport) -> RenderableType:
    """The network's layers and totals."""
    spec = report.spec
    table = Table("layer", "kernel", "stride", "output", "parameters", "MACs", "receptive field")
    for layer in spec.layers:
        table.add_row(*_layer_cells(layer))
    height, width = spec.input_size
    mean = ", ".join(f"{value:g}" for value in spec.mean_rgb)
    totals = (
        f"VGG-{spec.configuration}: {spec.parameters:,} parameters, {spec.macs / GIGA:.2f} GMAC "
        f"per image, {spec.parameters * 4 / MEGA:.1f} MB in float32\n"
        f"input {height}x{width}x3, RGB 0...255 minus ({mean})"
    )
    if (before := report.preprocessing) is not None:
        totals += f"\npixels before the weights' own network: {before.told}"
    parts: list[RenderableType] = [table, Text(totals)]
    if report.recipe:
        parts += ["", recipe(report.recipe)]
    return Group(*parts)


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


def inspection(report: Inspection) -> RenderableType:
    """Metadata, inputs, outputs and operators."""
    table = Table("operator", "type", "reads", "weights", "writes", names=2)
    islands = set(report.islands)
    for operator in report.operators:
        table.add_row(
            operator.name,
            operator.type,
            operator.inputs[0] if operator.inputs else "",
            operator.weights_dtype or "",
            " ".join(operator.outputs),
            bold=operator in islands,
        )
    lines = {f"input {t.name}": f"{t.dtype} {_shape(t.shape)}" for t in report.inputs}
    lines |= {f"output {t.name}": f"{t.dtype} {_shape(t.shape)}" for t in report.outputs}
    lines |= _foreign(report)
    lines["parameters"] = f"{report.parameters:,}"
    lines["size"] = f"{report.size_bytes / MEGA:.1f} MB"
    lines["float islands"] = ", ".join(o.name for o in report.islands) or "none"
    if report.artifact:
        artifact = report.artifact
        lines["network"] = (
            f"VGG-{artifact.spec.configuration}, {counted(artifact.spec.classes, 'class')}"
        )
        lines["precision"] = artifact.numbers
        lines["weights"] = f"{artifact.weights.source}, SHA-256 {artifact.weights.sha256}"
        if before := artifact.preprocessing:
            lines["pixels"] = f"{before.told}, before the weights' own network"
        lines["pictures"] = artifact.pictures.words(artifact.spec.input_size)
        if not artifact.pictures.known:
            lines["pictures"] += ": assumed, as the file does not say"
        if record := artifact.calibration:
            lines["calibration"] = (
                f"{counted(record.samples, 'image')} of {record.source}, {record.method}"
            )
        if requires := report.requires:
            lines["needs at least"] = requires.words
            lines |= {"note": "\n".join(requires.notes)} if requires.notes else {}
        lines["made with"] = ", ".join(f"{k} {v}" for k, v in artifact.tools.items())
    return Group(table, Grid(lines))


def _foreign(report: Inspection) -> dict[str, str]:
    """What is said of a file of another converter: it does not say more itself."""
    if not report.foreign:
        return {}
    lines = {"made by": "another converter, which says nothing about its weights"}
    if report.refusal:
        return lines | {"refused": report.refusal}
    if (artifact := report.recognized) and artifact.macs:
        classes = counted(artifact.spec.classes, "class")
        lines["network"] = f"VGG-{artifact.spec.configuration} by its graph, {classes}"
        lines["MACs"] = f"{artifact.macs:,} per image"
    return lines


def _shape(shape: tuple[int | str, ...]) -> str:
    return "x".join(map(str, shape))
