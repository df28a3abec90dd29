"""What ``diff`` finds out, as frozen values: what changed from one model or bundle to another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vggexport.artifact import Artifact
from vggexport.results.document import Document, StepSeconds
from vggexport.system.json_values import Finite, JsonValue, Note


@dataclass(frozen=True, slots=True)
class Change(JsonValue):
    """One fact that is another now.

    Attributes:
        name: Of what.
        old: As it was, for a person and for JSON; None where it was not.
        new: As it is.
    """

    name: str
    old: Any
    new: Any


MAX_ROUNDING_STEPS = 1.1
"""Of a bias: float32 holds an integer of some millions to a tenth."""


@dataclass(frozen=True, slots=True)
class LayerChange(JsonValue):
    """A layer whose weights are others.

    Attributes:
        name: The layer.
        kernel_db: SQNR of the new kernel, the old one being the signal; infinite for the same.
        bias_db: The same of the bias.
        max_abs: Largest difference of one value of the kernel.
        bias_steps: Largest difference of one value of the bias in steps of its integers, the larger
            of the two files'; None where one of them has no integers there.
    """

    json_keys = "name kernel_db bias_db max_abs bias_steps?"

    name: str
    kernel_db: Finite
    bias_db: Finite
    max_abs: Finite
    bias_steps: float | None = None

    @property
    def is_rounding(self) -> bool:
        """Whether it is one bias rounded to two grids: half a step each, and float32's own."""
        steps = self.bias_steps
        return self.kernel_db == math.inf and steps is not None and steps <= MAX_ROUNDING_STEPS


@dataclass(frozen=True, slots=True)
class RangeChange(JsonValue):
    """A layer whose activations are quantized over another range.

    Attributes:
        name: The layer.
        old: Its least and largest value, or None where it was not quantized.
        new: The same now.
    """

    name: str
    old: tuple[float, float] | None
    new: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Figure(JsonValue):
    """A figure of the reports that came with the bundles.

    Attributes:
        name: What it is, such as "top-1".
        condition: Under which it was measured, such as "2 threads, batch 1".
        unit: "%", "ms" or "dB".
        old: As it was; None where nobody measured it.
        new: As it is.
    """

    name: str
    condition: str
    unit: str
    old: float | None
    new: float | None


@dataclass(frozen=True, slots=True)
class ModelDifference(JsonValue):
    """One model and what became of it.

    Attributes:
        old: As it was.
        new: As it is.
        facts: What the two say of themselves differently.
        layers: Weights that changed, in order.
        layers_compared: How many layers were looked at; 0 where the networks are different ones.
        ranges: Activation ranges that changed.
        operators: Numbers of operators that changed, by type.
        figures: Of the reports.
        note: Why something was not looked at, or nothing.
    """

    json_keys = """
        old{path format precision size_bytes sha256} new{path format precision size_bytes sha256}
        same_file=is_same_file facts layers layers_compared ranges operators figures note
    """

    old: Artifact
    new: Artifact
    facts: tuple[Change, ...] = ()
    layers: tuple[LayerChange, ...] = ()
    layers_compared: int = 0
    ranges: tuple[RangeChange, ...] = ()
    operators: tuple[Change, ...] = ()
    figures: tuple[Figure, ...] = ()
    note: Note = ""

    @property
    def changed_layers(self) -> tuple[LayerChange, ...]:
        """Those whose weights are others, and not the same ones rounded otherwise."""
        return tuple(layer for layer in self.layers if not layer.is_rounding)

    @property
    def input_changes(self) -> tuple[str, ...]:
        """What became of pixels, pictures and labels, a clause each, where both record them."""
        old, new = self.old, self.new
        if old.foreign or new.foreign:
            return ()
        clauses = [_preprocessing_change(old, new), *_picture_changes(old, new)]
        if old.labels != new.labels:
            clauses.append("labels changed")
        return tuple(filter(None, clauses))

    @property
    def cause(self) -> str:
        """What is other where both were made of the same weights; nothing where they were not."""
        old, new = self.old, self.new
        if old.foreign or new.foreign or not old.weights.same_tensors(new.weights):
            return ""
        other = {
            "format": old.format != new.format,
            "precision": old.precision != new.precision,
            "calibration": _images_of(old) != _images_of(new),
            "preprocessing": bool(_preprocessing_change(old, new)),
        }
        named = [name for name, is_other in other.items() if is_other]
        if named:
            return f"same weights, different {' and '.join(named)}"
        return "" if self.changed_layers else "same weights"

    @property
    def is_same_file(self) -> bool:
        """Whether all bytes are the same."""
        return self.old.sha256 == self.new.sha256


def _preprocessing_change(old: Artifact, new: Artifact) -> str:
    """Empty too where one is not recorded, as by 0.1.0."""
    before, after = old.preprocessing, new.preprocessing
    if before is None or after is None or before.affine == after.affine:
        return ""
    if before.name != after.name:
        return f"preprocessing {before.name} -> {after.name}"
    same = before.words == after.words
    return "preprocessing changed" if same else f"preprocessing {before.words} -> {after.words}"


def _picture_changes(old: Artifact, new: Artifact) -> Iterator[str]:
    """The way in which pictures become as large as the input comes first, and tells the size."""
    before, after = (one.pictures.pixels(one.spec.input_size) for one in (old, new))
    changed = [key for key in before if before[key] != after[key]]
    if "resize" in changed:
        yield f"pictures {before['resize']} -> {after['resize']}"
    for key in changed:
        if key != "resize" and not (key == "resize_to" and "resize" in changed):
            yield f"pictures' {key.replace('_', ' ')} {before[key]} -> {after[key]}"


def _images_of(artifact: Artifact) -> tuple[str, str] | None:
    record = artifact.calibration
    return (record.fingerprint, record.method) if record else None


@dataclass(frozen=True, slots=True)
class DifferenceReport(Document):
    """From one artifact or bundle to another.

    Attributes:
        old: Where the former is.
        new: Where the latter is.
        models: Models that are in both.
        removed: Models that are in the former alone.
        added: Models that are in the latter alone.
        facts: What the bundles say of themselves differently.
        seconds: Wall-clock seconds by step.
        peak_rss_bytes: Largest resident memory of the process so far.
    """

    json_keys = """
        schema old new same=is_same facts models removed{path format precision size_bytes sha256}
        added{path format precision size_bytes sha256} seconds peak_rss_bytes
    """

    old: str
    new: str
    models: tuple[ModelDifference, ...]
    removed: tuple[Artifact, ...] = ()
    added: tuple[Artifact, ...] = ()
    facts: tuple[Change, ...] = ()
    seconds: StepSeconds = field(default_factory=dict)
    peak_rss_bytes: int = 0

    @property
    def is_same(self) -> bool:
        """Whether nothing changed."""
        same = all(model.is_same_file for model in self.models)
        return same and not (self.removed or self.added or self.facts)
