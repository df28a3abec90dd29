"""Which model files are built, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vggexport.artifact import SNAPDRAGON, sidecar_path
from vggexport.errors import Advice, InputError, OutputError, Unavailable
from vggexport.formats.registry import BUNDLED, COMPILERS, FORMATS, WRITTEN
from vggexport.opening.network import NetworkOptions, configuration_of
from vggexport.precision import NARROW_BITS, WIDE_BITS, Precision, Profile, profile_of
from vggexport.system.lazy_imports import installs, is_installed
from vggexport.system.output_files import check_no_directory
from vggexport.system.typed_options import OneOf, Positive, TypedOptions

NPU_COMPILER = "onnxruntime_qnn"
"""The package that compiles for Qualcomm's NPUs."""

_ENDINGS = frozenset(row.suffix for row in BUNDLED.values() if not row.marker)
"""Of model files."""

InputDtype = Annotated[str, OneOf(("float32", "uint8"))]

SERVING_VERSION = "1"
"""Directory inside NAME/ in which TensorFlow Serving finds the model."""


@dataclass(frozen=True, slots=True)
class FileOptions(TypedOptions):
    """One model file, or directory.

    Attributes:
        format: Its name, as in ``vggexport.formats.registry``.
        output: Where to, or None for ``vgg_d[_PRECISION].onnx`` and the like in the working
            directory.
        precision: Of the weights and the computation.
        input_dtype: "float32" or "uint8".
        batch: Images at a time, or None for any number.
        full_integer: uint8 in and out and no float operator; int8 TFLite only.
        symmetric: Activations with zero point 0, as TensorRT demands; int8 ONNX only.
        target: What alone it is laid out for (``vggexport.artifact.TARGETS``), or None; int8 ONNX
            only.
        activation_bits: Of values between layers, or None for the target's own; for snapdragon
            only.
        compile: Write what the target's compiler makes of it, too, as ``NAME_ctx.onnx``.
        opset: ONNX operator set version, or None for the default.
        serving: Lay a SavedModel out as ``NAME/1/`` for TensorFlow Serving.
    """

    format: Annotated[str, OneOf(WRITTEN)]
    output: Path | None = None
    precision: Precision = Precision.FLOAT32
    input_dtype: InputDtype = "float32"
    batch: Positive | None = None
    full_integer: bool = False
    symmetric: bool = False
    target: str | None = None
    activation_bits: int | None = None
    compile: bool = False
    opset: int | None = None
    serving: bool = False

    @property
    def bits(self) -> int:
        """Of its activations: 16 on Qualcomm's NPUs, whose answers are a CPU's then."""
        if self.activation_bits:
            return self.activation_bits
        is_wide = self.target == SNAPDRAGON and self.precision is Precision.INT8
        return WIDE_BITS if is_wide else NARROW_BITS

    @property
    def profile(self) -> Profile:
        """What its precision asks for and allows.

        Raises:
            InputError: There is no such precision without float operators, or with such bits.
        """
        return profile_of(self.precision, full_integer=self.full_integer, activation_bits=self.bits)


@dataclass(frozen=True, slots=True)
class BuildOptions(TypedOptions):
    """How files are built.

    Attributes:
        ranges: A file of ``calibrate`` to use instead of calibrating.
        check: Run what was written against its reference.
        min_logit_sqnr_db: What the check demands, or None for the precision's own tolerance.
        force: Replace existing outputs.
        rescale_float16: In float16 files, divide layers that reach beyond float16 by powers of two
            and multiply the next ones by them, which changes no answer.
    """

    ranges: Path | None = None
    check: bool = True
    min_logit_sqnr_db: float | None = None
    force: bool = False
    rescale_float16: bool = False

    @property
    def looks_at_float16(self) -> bool:
        """Whether the range of a float16 file's layers is looked at."""
        return self.check or self.rescale_float16


def default_name(configuration: str, file: FileOptions) -> str:
    """The name of a file that none was given for."""
    parts = [f"vgg_{configuration.lower()}"]
    if file.precision is not Precision.FLOAT32:
        parts.append(file.profile.name)
    return "_".join(parts) + FORMATS[file.format].suffix


def output_of(network_options: NetworkOptions, file: FileOptions) -> Path:
    """Where a file goes: where it was asked for, or to its own name in the working directory."""
    output = file.output or Path(default_name(configuration_of(network_options), file))
    return output / SERVING_VERSION if file.serving else output


def companions_of(output: Path, file: FileOptions) -> tuple[Path, ...]:
    """What is written beside a file: its description, and what it is compiled to."""
    compiled = (output.with_name(f"{output.stem}_ctx.onnx"),) if file.compile else ()
    return (sidecar_path(output), *compiled)


def check_ending(output: Path, ending: str = "") -> None:
    """Refuses a name that does not say what is in the file: its ending is all that others know.

    An empty ending is a folder's, whose name may end in anything but a file's ending.

    Raises:
        OutputError: It ends otherwise, or is a folder.
    """
    if ending:
        check_no_directory(output, ending)
    if output.suffix == ending or not (ending or output.suffix in _ENDINGS):
        return
    name = output.stem if output.suffix in _ENDINGS else output.name
    written = f"a file that ends in {ending}" if ending else "a folder"
    raise OutputError(
        f"output {output}: {written} is written, name {output.with_name(name + ending)}"
    )


def check_supported(file: FileOptions) -> None:
    """Refuses what no format has.

    Raises:
        InputError: There is no such file.
        OutputError: It is named like something else.
        Unavailable: The compiler is not installed.
    """
    row = FORMATS[file.format]
    if file.output:
        check_ending(file.output, "" if row.marker else row.suffix)
    precisions = row.precisions
    if file.precision not in precisions:
        offered = ", ".join(precision.value for precision in precisions)
        raise InputError(
            f"there is no {file.format} in {file.precision.value}: choose from {offered}"
        )
    _check_activation_bits(file)
    if file.profile.full_integer and file.format != "tflite":
        raise InputError(f"full integer is TFLite, not {file.format}")
    if file.target and (file.format, file.precision) != ("onnx", Precision.INT8):
        raise InputError(
            f"files for {file.target} are int8 ONNX, not {file.format} in {file.precision.value}",
            Advice("give {}", "quantize"),
            Advice("leave out {}", "target"),
        )
    if file.compile and file.target not in COMPILERS:
        raise InputError(
            f"{', '.join(COMPILERS)} has a compiler here, {file.target or 'no target'} has none",
            Advice("give {} snapdragon", "target"),
            Advice("leave out {}", "compile"),
        )
    if file.compile and not is_installed(NPU_COMPILER):
        raise Unavailable(f"{NPU_COMPILER} is not installed", installs([NPU_COMPILER]))
    if file.symmetric and (file.format, file.precision) != ("onnx", Precision.INT8):
        raise InputError(
            f"symmetric activations are for int8 ONNX, not {file.format} in {file.precision.value}",
            Advice("give {}", "quantize"),
            Advice("leave out {}", "symmetric"),
        )
    file.profile.check_takes(file.input_dtype)


def _check_activation_bits(file: FileOptions) -> None:
    """Refuses a choice where there is none, and an opset that has no 16-bit activations."""
    if file.activation_bits and file.target != SNAPDRAGON:
        raise InputError(
            f"activations in {file.activation_bits} bits are a choice for snapdragon, not for "
            f"{file.target or 'no target'}",
            Advice("give {} snapdragon", "target"),
            Advice("leave out {}", "activation_bits"),
        )
    if file.bits != WIDE_BITS:
        return
    excluded = {
        "symmetric activations": (file.symmetric, Advice("leave out {}", "symmetric")),
        f"opset {file.opset}": (file.opset is not None, Advice("leave out {}", "opset")),
    }
    for given, (is_given, left_out) in excluded.items():
        if is_given:
            raise InputError(
                f"{given} and {WIDE_BITS}-bit activations, asymmetric and of opset 21, exclude "
                "each other",
                left_out,
                Advice(f"give {{}} {NARROW_BITS}", "activation_bits"),
            )
