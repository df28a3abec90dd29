"""A difference as tables of plain text, the same in every rendering."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from vggexport.reports.sheets import Sheet
from vggexport.results.diff import DifferenceReport, Figure, LayerChange, ModelDifference
from vggexport.system.number_text import KILO, MEGA, decibels, difference

MAX_TEXT = 60
"""Characters of one fact; lists of labels are longer."""


def headline(report: DifferenceReport) -> str:
    """One sentence on all of it."""
    if report.is_same:
        return "Nothing changed: every model is the same file."
    changed = [model for model in report.models if not model.is_same_file]
    causes = {model.cause for model in changed}
    cause = f": {causes.pop()}" if len(causes) == 1 and any(causes) else ""
    inputs = dict.fromkeys(clause for model in changed for clause in model.input_changes)
    begin = "".join(f"{clause}; " for clause in inputs)
    parts = [f"{begin}{len(changed)} of {len(report.models)} models changed{cause}"]
    if report.removed:
        parts.append(f"{len(report.removed)} removed")
    if report.added:
        parts.append(f"{len(report.added)} added")
    return f"{', '.join(parts)}."


def name(model: ModelDifference) -> str:
    """What a model is called."""
    old, new = model.old.path, model.new.path
    return old if old == new else f"{old}, now {new}"


def summary(model: ModelDifference) -> str:
    """One line on what became of a model."""
    if model.is_same_file:
        return "the same file"
    before, after = model.old.size_bytes or 0, model.new.size_bytes or 0
    growth = f", {after / before - 1:+.1%}" if before else ""
    size = f"{_size(before)} to {_size(after)}{growth}"
    return "; ".join((*model.input_changes, _weights(model), size))


def _size(size_bytes: int) -> str:
    """In MB, or in kB where tenths of a MB would say nothing."""
    return f"{size_bytes / MEGA:.1f} MB" if size_bytes >= MEGA else f"{size_bytes / KILO:.1f} kB"


def _weights(model: ModelDifference) -> str:
    changed, rounded = model.changed_layers, len(model.layers) - len(model.changed_layers)
    if not model.layers_compared:
        parts = [model.cause, model.note]
    elif changed:
        of = f"of {len(changed)} of {model.layers_compared} layers"
        parts = [
            model.cause,
            f"stored values {of} differ" if model.cause else f"weights {of} changed",
        ]
    else:
        parts = [model.cause or "the same weights"]
    if rounded:
        parts.append(f"biases of {rounded} layers rounded to another step")
    return "; ".join(filter(None, parts))


def tables(model: ModelDifference) -> Iterator[Sheet]:
    """All tables of a model that have something in them."""
    ranges = tuple((r.name, _range(r.old), _range(r.new)) for r in model.ranges)
    found = (
        Sheet("Reports", ("figure", "measured on", "old", "new", "change"), _figures(model)),
        Sheet("Facts", ("fact", "old", "new"), _facts(model.facts)),
        Sheet("Weights", ("layer", "kernel", "bias", "max abs"), _layers(model)),
        Sheet("Activation ranges", ("layer", "old", "new"), ranges),
        Sheet("Operators", ("type", "old", "new"), _facts(model.operators)),
    )
    yield from (table for table in found if table.rows)


def bundle_table(report: DifferenceReport) -> Sheet:
    """What the bundles say of themselves differently."""
    return Sheet("Bundle", ("fact", "old", "new"), _facts(report.facts))


def _facts(changes: Any) -> tuple[tuple[str, ...], ...]:
    return tuple((change.name, _shown(change.old), _shown(change.new)) for change in changes)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."


def _layers(model: ModelDifference) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (layer.name, _nearness(layer.kernel_db), _bias(layer), difference(layer.max_abs))
        for layer in model.layers
    )


def _bias(layer: LayerChange) -> str:
    """In steps of its integers, below which nothing is kept; else as a kernel."""
    if layer.bias_steps is None or layer.bias_db == math.inf:
        return _nearness(layer.bias_db)
    return f"{layer.bias_steps:.2g} steps"


def _nearness(sqnr_db: float) -> str:
    return "was all zero" if sqnr_db == -math.inf else decibels(sqnr_db)


def _range(bounds: tuple[float, float] | None) -> str:
    return f"{bounds[0]:.4g} to {bounds[1]:.4g}" if bounds else "not quantized"


def _figures(model: ModelDifference) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            figure.name,
            figure.condition,
            _measured(figure.old, figure.unit),
            _measured(figure.new, figure.unit),
            _change(figure),
        )
        for figure in model.figures
    )


def _measured(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:.2f} {unit}"


def _change(figure: Figure) -> str:
    if figure.old is None or figure.new is None:
        return ""
    if figure.unit == "ms" and figure.old:
        return f"{figure.new / figure.old - 1:+.1%}"
    unit = "percentage points" if figure.unit == "%" else figure.unit
    return f"{figure.new - figure.old:+.2f} {unit}"
