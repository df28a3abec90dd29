"""Several formats and precisions of one network, from one reading and one calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vggexport.errors import InputError
from vggexport.formats.registry import FORMATS, WRITTEN
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.network import NetworkOptions, configuration_of
from vggexport.precision import Precision
from vggexport.results.build import ExportReport
from vggexport.system.output_files import made_folder
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.system.typed_options import Filled, OneOf, Positive, TypedOptions
from vggexport.workflows.build.inputs import build_inputs
from vggexport.workflows.build.options import (
    BuildOptions,
    FileOptions,
    InputDtype,
    check_ending,
    default_name,
)
from vggexport.workflows.build.run import build_file


@dataclass(frozen=True, slots=True)
class ExportOptions(TypedOptions):
    """Which files.

    Attributes:
        formats: Their names.
        precisions: In which each format is written that has them.
        folder: Where to, made if it is missing; None for ``vgg_d_export`` in the working directory.
        input_dtype: "float32" or "uint8".
        batch: Images at a time; None for what each format has where nothing is asked for.
    """

    formats: Annotated[tuple[Annotated[str, OneOf(WRITTEN)], ...], Filled()] = (
        "savedmodel",
        "onnx",
        "tflite",
    )
    precisions: Annotated[tuple[Precision, ...], Filled()] = (Precision.FLOAT32, Precision.INT8)
    folder: Path | None = None
    input_dtype: InputDtype = "float32"
    batch: Positive | None = None


def export(
    network_options: NetworkOptions,
    calibration_options: CalibrationOptions,
    export_options: ExportOptions,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Writes every format in every precision that it has, and checks each file.

    Args:
        network_options: Which network, with which weights.
        calibration_options: Which images.
        export_options: Which files.
        options: How.
        progress: Who shows how far it is.

    Returns:
        A report. A file that failed its check is in it and was not kept; the others were.

    Raises:
        VggExportError: The work cannot be begun or finished; files that were whole before are kept.
    """
    steps = Steps(progress or Progress())
    configuration = configuration_of(network_options)
    folder = export_options.folder or Path(f"vgg_{configuration.lower()}_export")
    check_ending(folder)
    combinations = _combinations(export_options, steps.progress)
    files = {folder / default_name(configuration, f): f for f in combinations}
    with (
        made_folder(folder),
        build_inputs(
            network_options, calibration_options, files, options, steps, hold_weights=True
        ) as inputs,
    ):
        reports = tuple(build_file(inputs, output, file) for output, file in files.items())
    return ExportReport(
        reports, steps.seconds, peak_rss_bytes(), inputs.contents, inputs.unreadable
    )


def _combinations(options: ExportOptions, progress: Progress) -> list[FileOptions]:
    """The files that there are, format by format; what a format has not is noted."""
    files = list(_offered(options))
    for name in options.formats:
        missing = [p.value for p in options.precisions if p not in FORMATS[name].precisions]
        if len(missing) == len(options.precisions):
            raise InputError(
                f"there is no {name} in {', '.join(missing)}: choose from "
                f"{', '.join(precision.value for precision in FORMATS[name].precisions)}"
            )
        if missing:
            progress.note(f"there is no {name} in {', '.join(missing)}: left out")
    return files


def _offered(options: ExportOptions) -> Iterator[FileOptions]:
    for name in options.formats:
        batch = options.batch or FORMATS[name].batch
        for precision in options.precisions:
            if precision in FORMATS[name].precisions:
                yield FileOptions(
                    name, precision=precision, input_dtype=options.input_dtype, batch=batch
                )
