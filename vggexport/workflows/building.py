"""Building one model file: weights, ranges, export, check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport import registry
from vggexport.artifact import Artifact, sidecar_path
from vggexport.environment import peak_rss_bytes
from vggexport.errors import InputError
from vggexport.exporters import EXPORTERS
from vggexport.exporters.interface import Exporter, ExportRequest
from vggexport.output import output_folder, publish, write_json
from vggexport.parity import Tolerance
from vggexport.progress import Progress, Silent, Steps
from vggexport.quantization.ranges import ActivationRanges
from vggexport.reports.results import BuildReport, CheckReport
from vggexport.spec import Precision
from vggexport.workflows.calibrating import (
    CalibrationOptions,
    ImagePlan,
    float32_runner,
    note_synthetic,
    note_unreadable,
    take_ranges,
)
from vggexport.workflows.checking import check_file, keras_reference, tolerance_for
from vggexport.workflows.network import Network, NetworkOptions, open_network

CHECK_IMAGES: Mapping[Precision, int] = {
    Precision.FLOAT32: 4,  # the Keras network holds the activations of all of them at once
    Precision.FLOAT16: 4,
    Precision.INT8: 8,
}
"""Images that a file just written is checked on."""


@dataclass(frozen=True, slots=True)
class OnnxOptions:
    """One ONNX file.

    Attributes:
        output: Where to, or None for ``vgg_d[_PRECISION].onnx`` in the working directory.
        precision: Of the weights and the computation.
        input_dtype: "float32" or "uint8".
        batch: Images at a time, or None for any number.
        opset: ONNX operator set version, or None for the default.
        ranges: A file of ``calibrate`` to use instead of calibrating.
        check: Run what was written against its reference.
        min_logit_sqnr_db: What the check demands, or None for the precision's own tolerance.
        force: Replace an existing output.
    """

    output: Path | None = None
    precision: Precision = Precision.FLOAT32
    input_dtype: str = "float32"
    batch: int | None = None
    opset: int | None = None
    ranges: Path | None = None
    check: bool = True
    min_logit_sqnr_db: float | None = None
    force: bool = False


def build_onnx(
    network_options: NetworkOptions,
    calibration_options: CalibrationOptions,
    options: OnnxOptions,
    progress: Progress | None = None,
) -> BuildReport:
    """Writes an ONNX file, with its artifact object beside it, and checks it.

    Args:
        network_options: Which network, with which weights.
        calibration_options: Which images; int8 takes its ranges from them, checks their images.
        options: Which file.
        progress: Who shows how far it is.

    Returns:
        A report. If its ``failures`` are not empty the file was refused: it is described, and not
        kept.

    Raises:
        VggExportError: The work cannot be begun or finished; no file is left.
    """
    steps = Steps(progress or Silent())
    output = options.output or _default_output(network_options, options.precision)
    sidecar = sidecar_path(output)
    with output_folder(output, sidecar, force=options.force) as folder:
        network = open_network(network_options, steps)
        ranges = _load_ranges(network, options)
        plan = _plan_images(network, calibration_options, options, ranges)
        reference = None
        if options.precision is Precision.INT8:
            ranges, reference = _run_float32(network, plan, ranges, folder, steps, options.opset)
            note_synthetic(ranges, steps)
        written = folder / output.name
        artifact = _artifact(network, output, options, ranges)
        with steps.step("export"):
            exporter: Exporter = registry.load(EXPORTERS, artifact.format)()
            exporter.export(
                ExportRequest(artifact, network.weights, ranges, opset=options.opset), written
            )
        check = None
        if plan and options.check:
            with steps.step("check"):
                tolerance = tolerance_for(options.precision, options.min_logit_sqnr_db)
                check = _check(network, written, artifact, plan, reference, tolerance)
        note_unreadable(plan, steps)
        artifact = artifact.located(written, output)
        if check is None or not check.failures:
            write_json(folder / sidecar.name, artifact.to_json())
            publish(folder, output, sidecar)
    return BuildReport(artifact, steps.seconds, peak_rss_bytes(), check)


def _default_output(network_options: NetworkOptions, precision: Precision) -> Path:
    suffix = "" if precision is Precision.FLOAT32 else f"_{precision.value}"
    return Path(f"vgg_{network_options.configuration.lower()}{suffix}.onnx")


def _load_ranges(network: Network, options: OnnxOptions) -> ActivationRanges | None:
    if options.ranges is None:
        return None
    if options.precision is not Precision.INT8:
        raise InputError(
            f"--ranges {options.ranges} has no use in {options.precision.value}: add --quantize"
        )
    ranges = ActivationRanges.load(options.ranges)
    ranges.check_belongs(network.spec, network.record)
    return ranges


def _plan_images(
    network: Network,
    calibration_options: CalibrationOptions,
    options: OnnxOptions,
    ranges: ActivationRanges | None,
) -> ImagePlan | None:
    """The images that the job needs, their source opened; None if it needs none."""
    calibrates = options.precision is Precision.INT8 and ranges is None
    if not (calibrates or options.check):
        return None
    return ImagePlan(
        calibration_options,
        network.spec.input_size,
        calibrated=calibration_options.samples if calibrates else 0,
        checked=CHECK_IMAGES[options.precision] if options.check else 0,
    )


def _run_float32(
    network: Network,
    plan: ImagePlan | None,
    ranges: ActivationRanges | None,
    folder: Path,
    steps: Steps,
    opset: int | None,
) -> tuple[ActivationRanges | None, NDArray[np.float32] | None]:
    """Takes from the float32 network what int8 needs: ranges, and a reference to check with."""
    if plan is None:
        return ranges, None
    with float32_runner(network, folder, steps, opset=opset) as runner:
        if plan.calibrated:
            ranges = take_ranges(network, runner, plan, steps)
        reference = runner.predict(plan.check_images()) if plan.checked else None
    return ranges, reference


def _artifact(
    network: Network, output: Path, options: OnnxOptions, ranges: ActivationRanges | None
) -> Artifact:
    return network.artifact(
        output,
        "onnx",
        options.precision,
        calibration=ranges.calibration if ranges else None,
        input_dtype=options.input_dtype,
        batch=options.batch,
    )


def _check(
    network: Network,
    written: Path,
    artifact: Artifact,
    plan: ImagePlan,
    reference: NDArray[np.float32] | None,
    tolerance: Tolerance,
) -> CheckReport:
    """int8 is held to the float32 file, float files to the Keras network."""
    images = plan.check_images()
    name = "float32 ONNX file"
    if reference is None:
        name, reference = "Keras network", keras_reference(network, images)
    return check_file(written, artifact, images, reference, tolerance, reference_name=name)
