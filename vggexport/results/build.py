"""What the commands find out, as frozen values. Verdicts and exit codes are derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from calibration import FolderContents
from vggexport.artifact import Artifact
from vggexport.metrics.parity import ParityMetrics
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.provenance import CalibrationRecord
from vggexport.precision import NARROW_BITS
from vggexport.quantization.audit import INTEGER_DTYPES, Operator, float_islands
from vggexport.results.calibration_curve import CurvePoint, sufficient_images
from vggexport.results.document import Document, Judged, StepSeconds
from vggexport.results.requirements import Requirements
from vggexport.system.json_values import JsonValue, Note

MAX_SOFTMAX_ERROR = 1.5 / 256
"""Of an integer softmax: its steps are 1/256 and its largest value is 255/256, so that 1/256 is
always possible; half a step more for its arithmetic."""


@dataclass(frozen=True, slots=True)
class CheckReport(Judged):
    """A file just written, run against its reference.

    Attributes:
        reference: What it was held to.
        images: On how many images.
        metrics: How far it is.
        tolerance: How far it may be.
        islands: Float islands of an int8 file.
        softmax_error: Of a file without float operators: largest difference of a probability from
            the float softmax of the file's own logits; else None.
        reference_failures: Where what it was held to is itself not the owner's network, or does
            not fit into float16.
        can_be_rescaled: Whether it would fit if layers were rescaled.
        synthetic_images: How many of the images the tool made.
        labels: Names of the classes, or nothing.
    """

    json_keys = """
        reference images synthetic_images metrics tolerance float_islands=islands.name
        softmax_error failures passed
    """

    reference: str
    images: int
    metrics: ParityMetrics
    tolerance: Tolerance
    islands: tuple[Operator, ...] = ()
    softmax_error: float | None = None
    reference_failures: tuple[str, ...] = ()
    can_be_rescaled: bool = False
    synthetic_images: int = 0
    labels: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong, a clause each; empty for a pass."""
        broken = self.tolerance.violations(self.metrics, self.labels)
        found = self.reference_failures + broken
        if self.islands:
            names = ", ".join(operator.name for operator in self.islands)
            found += (f"computed in float: {names}",)
        if self.softmax_error is not None and not self.softmax_error <= MAX_SOFTMAX_ERROR:
            found += (f"softmax is {self.softmax_error:.2g} off, above {MAX_SOFTMAX_ERROR:.2g}",)
        return found


@dataclass(frozen=True, slots=True)
class BuildReport(Document):
    """One file built.

    Attributes:
        artifact: What was written; refused by its check, it is described but not kept.
        seconds: Wall-clock seconds by step.
        peak_rss_bytes: Largest resident memory of the process so far.
        check: The check of what was written, or None if it was switched off.
        contents: What was found in the images' folder; None where they come from elsewhere.
        unreadable: Images that were left out, with what is wrong with each.
        beside: What was written beside it: its description, and what it was compiled to.
    """

    json_keys = """
        schema artifact beside seconds peak_rss_bytes check
        image_files=contents{files pictures skipped junk} unreadable passed
    """

    artifact: Artifact
    seconds: StepSeconds
    peak_rss_bytes: int
    check: CheckReport | None
    contents: FolderContents | None = None
    unreadable: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """What the check found, a clause each."""
        return self.check.failures if self.check else ()


@dataclass(frozen=True, slots=True)
class ExportReport(Document):
    """Several files built together.

    Attributes:
        files: One report a file; their seconds are those of the common steps and of their own.
        common_seconds: Wall-clock seconds by step of what was done once for all.
        peak_rss_bytes: Largest resident memory of the process so far.
        contents: What was found in the images' folder; None where they come from elsewhere.
        unreadable: Images that were left out, with what is wrong with each.
    """

    json_keys = """
        schema files=own{artifact seconds check passed} seconds=common_seconds peak_rss_bytes
        image_files=contents{files pictures skipped junk} unreadable passed
    """

    files: tuple[BuildReport, ...]
    common_seconds: StepSeconds
    peak_rss_bytes: int
    contents: FolderContents | None = None
    unreadable: tuple[str, ...] = ()

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

    @property
    def own(self) -> tuple[BuildReport, ...]:
        """The files with the seconds of the steps that were for each alone."""
        return tuple(
            replace(
                file,
                seconds={k: v for k, v in file.seconds.items() if k not in self.common_seconds},
            )
            for file in self.files
        )


@dataclass(frozen=True, slots=True)
class CalibrationReport(Document):
    """Activation ranges taken and saved."""

    json_keys = """
        schema path curve=measured{points=curve sufficient_images} calibration ranges unreadable
        image_files=contents{files pictures skipped junk} seconds peak_rss_bytes
    """

    path: str
    calibration: CalibrationRecord
    ranges: Mapping[str, tuple[float, float]]
    unreadable: tuple[str, ...]
    seconds: StepSeconds
    peak_rss_bytes: int
    curve: tuple[CurvePoint, ...] = ()
    contents: FolderContents | None = None

    @property
    def measured(self) -> CalibrationReport | None:
        """Itself where a curve was measured."""
        return self if self.curve else None

    @property
    def sufficient_images(self) -> int | None:
        """From how many images on more change nothing, as far as the curve tells."""
        return sufficient_images(self.curve)


@dataclass(frozen=True, slots=True)
class TensorDescription(JsonValue):
    """An input or output of a model.

    Attributes:
        name: What it is called from outside.
        dtype: Its data type.
        shape: Its shape, free dimensions by name.
        scale: Of an integer tensor that stands for real numbers: real = scale * (integer - zero
            point); else None.
        zero_point: Of the same.
    """

    json_keys = "name dtype shape quantization=quantized{scale zero_point}"

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    scale: float | None = None
    zero_point: int = 0

    @property
    def quantized(self) -> TensorDescription | None:
        """Itself where it is an integer tensor that stands for real numbers."""
        return None if self.scale is None else self


@dataclass(frozen=True, slots=True)
class Inspection(Document):
    """What a model file holds and how its runtime runs it.

    Attributes:
        artifact: What the file says of itself, or None for a file that is not ours.
        inputs: The model's inputs.
        outputs: The model's outputs.
        operators: What the runtime runs, in order.
        parameters: Number of trained values.
        size_bytes: Size of the file.
        opset: ONNX operator set version, or None for other formats.
        recognized: Of a file of another converter: what is known of it; None for ours, and for one
            that other commands refuse.
        refusal: Why they do.
    """

    json_keys = """
        schema artifact inputs outputs operators float_islands=islands.name parameters size_bytes
        opset foreign recognized=recognized{precision ends macs layers=layer_names} refusal
        requires
    """

    artifact: Artifact | None
    inputs: tuple[TensorDescription, ...]
    outputs: tuple[TensorDescription, ...]
    operators: tuple[Operator, ...]
    parameters: int
    size_bytes: int
    opset: int | None = None
    recognized: Artifact | None = None
    refusal: Note = ""

    @property
    def foreign(self) -> bool:
        """Whether another converter wrote the file."""
        return self.artifact is None

    @property
    def requires(self) -> Requirements | None:
        """What it needs of where it runs; None for a file that is not ours."""
        return Requirements.of(self.artifact) if self.artifact else None

    @property
    def islands(self) -> tuple[Operator, ...]:
        """Operators that compute in float where an int8 file should not.

        A file of another converter that has no integers is none that should.
        """
        if self.foreign and not any(map(_has_integers, self.operators)):
            return ()
        return float_islands(self.operators)

    def not_integer(self) -> tuple[str, ...]:
        """What speaks against calling it int8, a clause each; empty if nothing does."""
        if self.artifact and self.artifact.activation_bits > NARROW_BITS:
            return (f"it is {self.artifact.numbers}, which CPUs compute in float",)
        found = [
            f"{operator.name} ({operator.type}) computes in float"
            for operator in float_islands(self.operators)
        ]
        if not any(operator.weights_dtype in INTEGER_DTYPES for operator in self.operators):
            found.append("no operator has int8 weights")
        return tuple(found)


def _has_integers(operator: Operator) -> bool:
    """Whether data or weights of an operator are integers of 8 bits or less."""
    return bool(INTEGER_DTYPES.intersection((*operator.outputs, operator.weights_dtype)))
