"""Building model files: weights, ranges, export, check."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact, sidecar_path
from vggexport.system.process import peak_rss_bytes
from vggexport.errors import Advice, InputError
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import FORMATS, load_exporter
from vggexport.system.output_files import made_folder, output_folder, publish, write_json
from vggexport.system.progress import Progress, Steps
from vggexport.quantization.int4 import check_divides
from vggexport.quantization.ranges import ActivationRanges
from vggexport.results.build import BuildReport, CheckReport
from vggexport.precision import Precision, Profile, profile_of
from vggexport.opening.calibration_images import CalibrationOptions, ImagePlan, note_synthetic, note_unreadable
from vggexport.opening.activation_ranges import float32_runner, take_ranges
from vggexport.opening.file_check import check_file, keras_reference, tolerance_for
from vggexport.opening.network import Network, NetworkOptions, open_network

SERVING_VERSION = "1"
"""Directory inside NAME/ in which TensorFlow Serving finds the model."""


@dataclass(frozen=True, slots=True)
class FileOptions:
    """One model file, or directory.

    Attributes:
        format: Its name, as in ``vggexport.formats.registry``.
        output: Where to, or None for ``vgg_d[_PRECISION].onnx`` and the like in the working
            directory.
        precision: Of the weights and the computation.
        input_dtype: "float32" or "uint8".
        batch: Images at a time, or None for any number.
        full_integer: uint8 in and out and no float operator; int8 TFLite only.
        opset: ONNX operator set version, or None for the default.
        serving: Lay a SavedModel out as ``NAME/1/`` for TensorFlow Serving.
    """

    format: str
    output: Path | None = None
    precision: Precision = Precision.FLOAT32
    input_dtype: str = "float32"
    batch: int | None = None
    full_integer: bool = False
    opset: int | None = None
    serving: bool = False

    @property
    def profile(self) -> Profile:
        """What its precision asks for and allows.

        Raises:
            InputError: There is no such precision without float operators.
        """
        return profile_of(self.precision, full_integer=self.full_integer)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How files are built.

    Attributes:
        ranges: A file of ``calibrate`` to use instead of calibrating.
        check: Run what was written against its reference.
        min_logit_sqnr_db: What the check demands, or None for the precision's own tolerance.
        force: Replace existing outputs.
    """

    ranges: Path | None = None
    check: bool = True
    min_logit_sqnr_db: float | None = None
    force: bool = False


def build(
    network_options: NetworkOptions,
    calibration_options: CalibrationOptions,
    file: FileOptions,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Writes a model file, with its artifact object beside it, and checks it.

    Args:
        network_options: Which network, with which weights.
        calibration_options: Which images; int8 takes its ranges from them, checks their images.
        file: Which file.
        options: How.
        progress: Who shows how far it is.

    Returns:
        A report. If its ``failures`` are not empty the file was refused: it is described, and not
        kept.

    Raises:
        VggExportError: The work cannot be begun or finished; no file is left.
    """
    steps = Steps(progress or Progress())
    files = {_output(network_options, file): file}
    with prepared(network_options, calibration_options, files, options, steps) as job:
        (report,) = (job.build(output) for output in files)
    return report


@contextmanager
def prepared(
    network_options: NetworkOptions,
    calibration_options: CalibrationOptions,
    files: Mapping[Path, FileOptions],
    options: BuildOptions | None,
    steps: Steps,
    *,
    hold_weights: bool = False,
) -> Iterator[Job]:
    """Makes ready what the files need together: places, weights, ranges, reference.

    Args:
        network_options: Which network, with which weights.
        calibration_options: Which images.
        files: What to build, by where to.
        options: How.
        steps: Who counts the seconds of the common steps.
        hold_weights: Read the weights once and keep them in memory.

    Raises:
        VggExportError: The work cannot be begun.
    """
    options = options or BuildOptions()
    for file in files.values():
        _check_supported(file)
    with ExitStack() as entered:
        folders = {
            output: entered.enter_context(_folder(output, file, force=options.force))
            for output, file in files.items()
        }
        network = open_network(network_options, steps, in_memory=hold_weights)
        _check_fits(network, files.values())
        ranges = _load_ranges(network, options, files.values())
        plan = _plan_images(network, calibration_options, options, files.values(), ranges)
        job = Job(network, files, folders, options, steps, plan, ranges)
        job.run_float32()
        yield job
        note_unreadable(plan, steps)


class Job:
    """Files of one network, built one after the other from what they share.

    Args:
        network: The network.
        files: What to build, by where to.
        folders: Temporary folders, by where to.
        options: How.
        steps: Who counts the seconds.
        plan: Images for calibration and checks, or None where none are needed.
        ranges: Activation ranges, where they are there already.
    """

    def __init__(
        self,
        network: Network,
        files: Mapping[Path, FileOptions],
        folders: Mapping[Path, Path],
        options: BuildOptions,
        steps: Steps,
        plan: ImagePlan | None,
        ranges: ActivationRanges | None,
    ) -> None:
        self._network = network
        self._files = files
        self._folders = folders
        self._options = options
        self._steps = steps
        self._plan = plan
        self._ranges = ranges
        self._references: dict[str, NDArray[np.float32]] = {}

    def run_float32(self) -> None:
        """Takes from the float32 network what integer files need: ranges, and a reference."""
        quantized = [file for file in self._files.values() if file.profile.needs_ranges]
        if not quantized or self._plan is None:
            return
        folder = next(iter(self._folders.values()))
        opset = next((file.opset for file in quantized if file.opset is not None), None)
        with float32_runner(self._network, folder, self._steps, opset=opset) as runner:
            if self._plan.calibrated:
                self._ranges = take_ranges(self._network, runner, self._plan, self._steps)
            if self._options.check:
                with self._steps.step("reference"):
                    reference = runner.predict(self._check_images(Precision.INT8.profile))
                self._references["float32 ONNX file"] = reference
        note_synthetic(self._ranges, self._steps)

    def build(self, output: Path) -> BuildReport:
        """Writes, checks and publishes one of the files."""
        file, folder = self._files[output], self._folders[output]
        of = output.name if len(self._files) > 1 else ""
        steps = Steps(self._steps.progress, of=of)
        written = folder / output.name
        artifact = self._artifact(output, file)
        with steps.step("export"):
            load_exporter(file.format).export(self._request(artifact, file), written)
        check = None
        if self._options.check:
            with steps.step("check"):
                check = self._check(written, artifact)
        artifact = artifact.located(written, output)
        if check is None or not check.failures:
            sidecar = sidecar_path(output)
            write_json(folder / sidecar.name, artifact.to_json())
            publish(folder, output, sidecar)
        seconds = self._steps.seconds | steps.seconds
        return BuildReport(artifact, seconds, peak_rss_bytes(), check)

    def _artifact(self, output: Path, file: FileOptions) -> Artifact:
        quantized = file.profile.needs_ranges and self._ranges
        return replace(
            self._network.artifact(output, file.format, file.precision),
            calibration=quantized.calibration if quantized else None,
            input_dtype=file.input_dtype,
            batch=file.batch,
            full_integer=file.full_integer,
        )

    def _request(self, artifact: Artifact, file: FileOptions) -> ExportRequest:
        ranges = self._ranges if file.profile.needs_ranges else None
        return ExportRequest(artifact, self._network.weights, ranges, opset=file.opset)

    def _check(self, written: Path, artifact: Artifact) -> CheckReport:
        """Calibrated files are held to the float32 file, all others to the Keras network."""
        images = self._check_images(artifact.profile)
        name = "float32 ONNX file" if artifact.profile.needs_ranges else "Keras network"
        if name not in self._references:
            self._references[name] = keras_reference(self._network, images)
        tolerance = tolerance_for(artifact, self._options.min_logit_sqnr_db)
        reference = self._references[name]
        return check_file(written, artifact, images, reference, tolerance, reference_name=name)

    def _check_images(self, profile: Profile) -> NDArray[np.uint8]:
        assert self._plan is not None  # noqa: S101  there is one whenever files are checked
        return self._plan.check_images()[: profile.check_images]


def default_name(configuration: str, file: FileOptions) -> str:
    """The name of a file that none was given for."""
    parts = [f"vgg_{configuration.lower()}"]
    if file.precision is not Precision.FLOAT32:
        parts.append(file.profile.name)
    return "_".join(parts) + FORMATS[file.format].suffix


def _output(network_options: NetworkOptions, file: FileOptions) -> Path:
    output = file.output or Path(default_name(network_options.configuration, file))
    return output / SERVING_VERSION if file.serving else output


@contextmanager
def _folder(output: Path, file: FileOptions, *, force: bool) -> Iterator[Path]:
    """A temporary folder for a file on its way to its place."""
    marker = FORMATS[file.format].marker
    with ExitStack() as entered:
        if file.serving:
            entered.enter_context(made_folder(output.parent))
        yield entered.enter_context(
            output_folder(output, sidecar_path(output), force=force, directory_marker=marker)
        )


def _check_supported(file: FileOptions) -> None:
    precisions = FORMATS[file.format].precisions
    if file.precision not in precisions:
        offered = ", ".join(precision.value for precision in precisions)
        raise InputError(
            f"there is no {file.format} in {file.precision.value}: choose from {offered}"
        )
    if file.profile.full_integer and file.format != "tflite":
        raise InputError(f"full integer is TFLite, not {file.format}")
    file.profile.check_takes(file.input_dtype)


def _check_fits(network: Network, files: Collection[FileOptions]) -> None:
    if any(file.profile.int4_blocks for file in files):
        check_divides(network.spec)


def _load_ranges(
    network: Network, options: BuildOptions, files: Collection[FileOptions]
) -> ActivationRanges | None:
    if options.ranges is None:
        return None
    if not any(file.profile.needs_ranges for file in files):
        precisions = ", ".join(file.precision.value for file in files)
        raise InputError(
            f"ranges {options.ranges} have no use in {precisions}",
            Advice("add {}", "quantize"),
            Advice("name int8 among {}", "precisions"),
        )
    ranges = ActivationRanges.load(options.ranges)
    ranges.check_belongs(network.spec, network.record)
    return ranges


def _plan_images(
    network: Network,
    calibration_options: CalibrationOptions,
    options: BuildOptions,
    files: Collection[FileOptions],
    ranges: ActivationRanges | None,
) -> ImagePlan | None:
    """The images that the files need, their source opened; None if they need none."""
    calibrates = ranges is None and any(file.profile.needs_ranges for file in files)
    if not (calibrates or options.check):
        return None
    checked = max(file.profile.check_images for file in files)
    return ImagePlan(
        calibration_options,
        network.spec.input_size,
        calibrated=calibration_options.samples if calibrates else 0,
        checked=checked if options.check else 0,
    )
