"""Building model files: weights, ranges, export, check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vggexport.artifact import SNAPDRAGON, TENSORRT, Artifact
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import COMPILERS, load_exporter
from vggexport.network.rescaling import Scales, tensor_factors
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.file_check import check_file, tolerance_for
from vggexport.opening.network import NetworkOptions
from vggexport.opening.reference import reference_name
from vggexport.precision import Precision
from vggexport.results.build import BuildReport, CheckReport
from vggexport.system.lazy_imports import load
from vggexport.system.output_files import publish, write_json
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.build.inputs import FLOAT32_FILE, BuildInputs, build_inputs, check_images
from vggexport.workflows.build.options import BuildOptions, FileOptions, companions_of, output_of


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
    files = {output_of(network_options, file): file}
    with build_inputs(network_options, calibration_options, files, options, steps) as inputs:
        (report,) = (build_file(inputs, output, file) for output, file in files.items())
    return report


def build_file(inputs: BuildInputs, output: Path, file: FileOptions) -> BuildReport:
    """Writes, checks and publishes one file."""
    folder = inputs.folders[output]
    steps = Steps(inputs.steps.progress, of=output.name if len(inputs.folders) > 1 else "")
    written = folder / output.name
    ranges = inputs.ranges if file.profile.needs_ranges else None
    weights, scales = inputs.network.weights, _scales(inputs, file)
    if scales:
        weights = weights.multiplied(tensor_factors(weights.spec, scales))
    artifact = replace(
        inputs.network.artifact(output, file.format, file.precision),
        calibration=ranges.calibration if ranges else None,
        input_dtype=file.input_dtype,
        batch=file.batch or (1 if file.target == SNAPDRAGON else None),
        full_integer=file.full_integer,
        symmetric=file.symmetric or file.target == TENSORRT,
        target=file.target,
        activation_bits=file.bits,
        rescaled=scales or None,
    )
    with steps.step("export"):
        request = ExportRequest(artifact, weights, ranges, opset=file.opset)
        load_exporter(file.format).export(request, written)
    check = None
    if inputs.options.check:
        with steps.step("check"):
            check = _check(inputs, written, artifact)
    artifact = artifact.located(written, output)
    beside: tuple[Path, ...] = ()
    if check is None or not check.failures:
        beside = sidecar, *compiled = companions_of(output, file)
        write_json(folder / sidecar.name, artifact.to_json())
        for path in compiled:
            with steps.step("compile"):
                load(COMPILERS, file.target or "")(written, folder / path.name)
        publish(folder, output, sidecar, *compiled)
    seconds = inputs.steps.seconds | steps.seconds
    named = tuple(map(str, beside))
    return BuildReport(
        artifact, seconds, peak_rss_bytes(), check, inputs.contents, inputs.unreadable, named
    )


def _scales(inputs: BuildInputs, file: FileOptions) -> Scales:
    """What layers of a file are multiplied by to fit into float16; nothing where none is."""
    is_rescaled = inputs.options.rescale_float16 and file.precision is Precision.FLOAT16
    return inputs.float16.scales if is_rescaled else {}


def _check(inputs: BuildInputs, written: Path, artifact: Artifact) -> CheckReport:
    """Calibrated files are held to the float32 file, all others to the owner's network."""
    images = check_images(inputs.plan, artifact.profile)
    name, reference, failures = FLOAT32_FILE, inputs.float32_answers, inputs.float32_failures
    if not artifact.profile.needs_ranges or reference is None:
        name, reference, failures = reference_name(inputs.network), inputs.owner_answers, ()
    if artifact.precision is Precision.FLOAT16:
        failures = inputs.float16.overflows
    tolerance = tolerance_for(artifact, inputs.options.min_logit_sqnr_db)
    check = check_file(written, artifact, images, reference, tolerance, reference_name=name)
    can_be_rescaled = bool(failures and inputs.float16.scales and not artifact.rescaled)
    synthetic = inputs.plan.synthetic_among(check.images) if inputs.plan else 0
    return replace(
        check,
        reference_failures=failures,
        can_be_rescaled=can_be_rescaled,
        synthetic_images=synthetic,
    )
