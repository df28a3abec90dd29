"""What ``diff`` finds out, as frozen values: what changed from one model or bundle to another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vggexport.artifact import Artifact
from vggexport.results.build import SCHEMA


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that is another now.

    Attributes:
        name: Of what.
        old: As it was, for a person and for JSON; None where it was not.
        new: As it is.
    """

    name: str
    old: Any
    new: Any

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {"name": self.name, "old": self.old, "new": self.new}


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer whose weights are others.

    Attributes:
        name: The layer.
        kernel_db: SQNR of the new kernel, the old one being the signal; infinite for the same.
        bias_db: The same of the bias.
        max_abs: Largest difference of one value of the kernel.
    """

    name: str
    kernel_db: float
    bias_db: float
    max_abs: float

    def to_json(self) -> dict[str, Any]:
        """All of it; JSON knows no infinity and no NaN, so that they become null."""
        values = {"kernel_db": self.kernel_db, "bias_db": self.bias_db, "max_abs": self.max_abs}
        finite = {name: v if math.isfinite(v) else None for name, v in values.items()}
        return {"name": self.name, **finite}


@dataclass(frozen=True, slots=True)
class RangeChange:
    """A layer whose activations are quantized over another range.

    Attributes:
        name: The layer.
        old: Its least and largest value, or None where it was not quantized.
        new: The same now.
    """

    name: str
    old: tuple[float, float] | None
    new: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "name": self.name,
            "old": list(self.old) if self.old else None,
            "new": list(self.new) if self.new else None,
        }


@dataclass(frozen=True, slots=True)
class Figure:
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

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "name": self.name,
            "condition": self.condition,
            "unit": self.unit,
            "old": self.old,
            "new": self.new,
        }


@dataclass(frozen=True, slots=True)
class ModelDifference:
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

    old: Artifact
    new: Artifact
    facts: tuple[Change, ...] = ()
    layers: tuple[LayerChange, ...] = ()
    layers_compared: int = 0
    ranges: tuple[RangeChange, ...] = ()
    operators: tuple[Change, ...] = ()
    figures: tuple[Figure, ...] = ()
    note: str = ""

    @property
    def is_same_file(self) -> bool:
        """Whether all bytes are the same."""
        return self.old.sha256 == self.new.sha256

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "old": _described(self.old),
            "new": _described(self.new),
            "same_file": self.is_same_file,
            "facts": [change.to_json() for change in self.facts],
            "layers": [change.to_json() for change in self.layers],
            "layers_compared": self.layers_compared,
            "ranges": [change.to_json() for change in self.ranges],
            "operators": [change.to_json() for change in self.operators],
            "figures": [figure.to_json() for figure in self.figures],
            "note": self.note or None,
        }


@dataclass(frozen=True, slots=True)
class DifferenceReport:
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

    old: str
    new: str
    models: tuple[ModelDifference, ...]
    removed: tuple[Artifact, ...] = ()
    added: tuple[Artifact, ...] = ()
    facts: tuple[Change, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_rss_bytes: int = 0

    @property
    def is_same(self) -> bool:
        """Whether nothing changed."""
        same = all(model.is_same_file for model in self.models)
        return same and not (self.removed or self.added or self.facts)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "schema": SCHEMA,
            "old": self.old,
            "new": self.new,
            "same": self.is_same,
            "facts": [change.to_json() for change in self.facts],
            "models": [model.to_json() for model in self.models],
            "removed": [_described(artifact) for artifact in self.removed],
            "added": [_described(artifact) for artifact in self.added],
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "peak_rss_bytes": self.peak_rss_bytes,
        }


def _described(artifact: Artifact) -> dict[str, Any]:
    return {
        "path": artifact.path,
        "format": artifact.format,
        "precision": artifact.precision.value,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
    }
