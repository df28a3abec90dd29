"""What the commands find out, as frozen values. Verdicts and exit codes are derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vggexport.artifact import Artifact, CalibrationRecord
from vggexport.metrics.parity import ParityMetrics
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.spec import VGGSpec
from vggexport.network.training_recipe import Recipe
from vggexport.quantization.audit import INTEGER_DTYPES, Operator, float_islands
from vggexport.results.calibration_curve import CurvePoint, sufficient_images

SCHEMA = 1

MAX_SOFTMAX_ERROR = 1.5 / 256
"""Of an integer softmax: its steps are 1/256 and its largest value is 255/256, so that 1/256 is
always possible; half a step more for its arithmetic."""


@dataclass(frozen=True, slots=True)
class SummaryReport:
    """The network as a table.

    Attributes:
        spec: The network.
        recipe: How it is trained, where that was asked for.
    """

    spec: VGGSpec
    recipe: Recipe | None = None

    def to_json(self) -> dict[str, Any]:
        """Layers and totals."""
        layers = [
            {
                "name": layer.name,
                "kind": layer.kind.value,
                "kernel_size": layer.kernel_size,
                "stride": layer.stride,
                "output_shape": list(layer.output_shape),
                "parameters": layer.parameters,
                "macs": layer.macs,
                "receptive_field": layer.receptive_field,
            }
            for layer in self.spec.layers
        ]
        return {
            "schema": SCHEMA,
            "spec": self.spec.to_json(),
            "layers": layers,
            "parameters": self.spec.parameters,
            "macs": self.spec.macs,
            **({"training": self.recipe.to_json()} if self.recipe else {}),
        }


@dataclass(frozen=True, slots=True)
class CheckReport:
    """A file just written, run against its reference.

    Attributes:
        reference: What it was held to.
        images: On how many images.
        metrics: How far it is.
        tolerance: How far it may be.
        islands: Float islands of an int8 file.
        softmax_error: Of a file without float operators: largest difference of a probability from
            the float softmax of the file's own logits; else None.
    """

    reference: str
    images: int
    metrics: ParityMetrics
    tolerance: Tolerance
    islands: tuple[Operator, ...] = ()
    softmax_error: float | None = None

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong, a clause each; empty for a pass."""
        found = self.tolerance.violations(self.metrics)
        if self.islands:
            names = ", ".join(operator.name for operator in self.islands)
            found += (f"computed in float: {names}",)
        if self.softmax_error is not None and not self.softmax_error <= MAX_SOFTMAX_ERROR:
            found += (f"softmax is {self.softmax_error:.2g} off, above {MAX_SOFTMAX_ERROR:.2g}",)
        return found

    def to_json(self) -> dict[str, Any]:
        """All of it, with the verdict."""
        return {
            "reference": self.reference,
            "images": self.images,
            "metrics": self.metrics.to_json(),
            "tolerance": self.tolerance.to_json(),
            "float_islands": [operator.name for operator in self.islands],
            "softmax_error": self.softmax_error,
            "failures": list(self.failures),
            "passed": not self.failures,
        }


@dataclass(frozen=True, slots=True)
class BuildReport:
    """One file built.

    Attributes:
        artifact: What was written; refused by its check, it is described but not kept.
        seconds: Wall-clock seconds by step.
        peak_rss_bytes: Largest resident memory of the process so far.
        check: The check of what was written, or None if it was switched off.
    """

    artifact: Artifact
    seconds: Mapping[str, float]
    peak_rss_bytes: int
    check: CheckReport | None

    @property
    def failures(self) -> tuple[str, ...]:
        """What the check found, a clause each."""
        return self.check.failures if self.check else ()

    def to_json(self) -> dict[str, Any]:
        """The contract's keys, with the check and the verdict."""
        return {
            "schema": SCHEMA,
            "artifact": self.artifact.to_json(),
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "peak_rss_bytes": self.peak_rss_bytes,
            "check": self.check and self.check.to_json(),
            "passed": not self.failures,
        }


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Several files built together.

    Attributes:
        files: One report a file; their seconds are those of the common steps and of their own.
        common_seconds: Wall-clock seconds by step of what was done once for all.
        peak_rss_bytes: Largest resident memory of the process so far.
    """

    files: tuple[BuildReport, ...]
    common_seconds: Mapping[str, float]
    peak_rss_bytes: int

    @property
    def failures(self) -> tuple[str, ...]:
        """What the checks found, a clause for each file that failed."""
        return tuple(
            f"{file.artifact.path}: {', '.join(file.failures)}"
            for file in self.files
            if file.failures
        )

    @property
    def kept(self) -> tuple[BuildReport, ...]:
        """The files that passed."""
        return tuple(file for file in self.files if not file.failures)

    def own_seconds(self, file: BuildReport) -> float:
        """Seconds of the steps that were for this file alone."""
        return sum(s for step, s in file.seconds.items() if step not in self.common_seconds)

    def to_json(self) -> dict[str, Any]:
        """The files as the build commands give them, and what was done once."""
        own = [
            {
                "artifact": file.artifact.to_json(),
                "seconds": {
                    step: round(seconds, 3)
                    for step, seconds in file.seconds.items()
                    if step not in self.common_seconds
                },
                "check": file.check and file.check.to_json(),
                "passed": not file.failures,
            }
            for file in self.files
        ]
        return {
            "schema": SCHEMA,
            "files": own,
            "seconds": {step: round(seconds, 3) for step, seconds in self.common_seconds.items()},
            "peak_rss_bytes": self.peak_rss_bytes,
            "passed": not self.failures,
        }


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """Activation ranges taken and saved."""

    path: str
    calibration: CalibrationRecord
    ranges: Mapping[str, tuple[float, float]]
    unreadable: tuple[str, ...]
    seconds: Mapping[str, float]
    peak_rss_bytes: int
    curve: tuple[CurvePoint, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        curve = (
            {
                "points": [point.to_json() for point in self.curve],
                "sufficient_images": sufficient_images(self.curve),
            }
            if self.curve
            else None
        )
        return {
            "schema": SCHEMA,
            "path": self.path,
            "curve": curve,
            "calibration": self.calibration.to_json(),
            "ranges": {name: list(bounds) for name, bounds in self.ranges.items()},
            "unreadable": list(self.unreadable),
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "peak_rss_bytes": self.peak_rss_bytes,
        }


@dataclass(frozen=True, slots=True)
class TensorDescription:
    """An input or output of a model.

    Attributes:
        name: What it is called from outside.
        dtype: Its data type.
        shape: Its shape, free dimensions by name.
        scale: Of an integer tensor that stands for real numbers: real = scale * (integer - zero
            point); else None.
        zero_point: Of the same.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    scale: float | None = None
    zero_point: int = 0

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        quantization = {"scale": self.scale, "zero_point": self.zero_point}
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "quantization": quantization if self.scale is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a model file holds and how its runtime runs it.

    Attributes:
        artifact: What the file says of itself, or None for a file that is not ours.
        inputs: The model's inputs.
        outputs: The model's outputs.
        operators: What the runtime runs, in order.
        parameters: Number of trained values.
        size_bytes: Size of the file.
        opset: ONNX operator set version, or None for other formats.
    """

    artifact: Artifact | None
    inputs: tuple[TensorDescription, ...]
    outputs: tuple[TensorDescription, ...]
    operators: tuple[Operator, ...]
    parameters: int
    size_bytes: int
    opset: int | None = None

    @property
    def islands(self) -> tuple[Operator, ...]:
        """Operators that compute in float where an int8 file should not."""
        return float_islands(self.operators)

    def not_integer(self) -> tuple[str, ...]:
        """What speaks against calling it int8, a clause each; empty if nothing does."""
        found = [
            f"{operator.name} ({operator.type}) computes in float" for operator in self.islands
        ]
        if not any(operator.weights_dtype in INTEGER_DTYPES for operator in self.operators):
            found.append("no operator has int8 weights")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return {
            "schema": SCHEMA,
            "artifact": self.artifact and self.artifact.to_json(),
            "inputs": [tensor.to_json() for tensor in self.inputs],
            "outputs": [tensor.to_json() for tensor in self.outputs],
            "operators": [operator.to_json() for operator in self.operators],
            "float_islands": [operator.name for operator in self.islands],
            "parameters": self.parameters,
            "size_bytes": self.size_bytes,
            "opset": self.opset,
        }
