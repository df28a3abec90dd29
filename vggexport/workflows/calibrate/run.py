"""Activation ranges: images through the float32 network."""

from __future__ import annotations

from pathlib import Path

from vggexport.opening.activation_ranges import float32_runner, take_snapshots
from vggexport.opening.calibration_images import (
    CalibrationOptions,
    ImagePlan,
    note_doubtful,
    note_held_out,
    note_unreadable,
)
from vggexport.opening.int8_adjustments import adjusted
from vggexport.opening.labelled_images import note_contents
from vggexport.opening.network import NetworkOptions, configuration_of, open_network
from vggexport.opening.pictures import note_assumed
from vggexport.results.build import CalibrationReport
from vggexport.results.calibration_curve import CurvePoint
from vggexport.system.output_files import output_folder, publish
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.calibrate.curve import CHECK_IMAGES, counts_up_to, measure_curve


def calibrate(
    network_options: NetworkOptions,
    options: CalibrationOptions,
    output: Path | str | None = None,
    *,
    curve: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> CalibrationReport:
    """Takes activation ranges and saves them for files that are quantized.

    Args:
        network_options: Which network, with which weights.
        options: Which images, and how.
        output: Where to, or None for ``vgg_d_ranges.json`` in the working directory.
        curve: Measure, too, what ranges of fewer images would have been worth.
        force: Replace an existing output.
        progress: Who shows how far it is.

    Raises:
        VggExportError: The work cannot be begun or finished; no file is left.
    """
    steps = Steps(progress or Progress())
    default = f"vgg_{configuration_of(network_options).lower()}_ranges.json" if not output else ""
    output = Path(output or default)
    with output_folder(output, force=force) as folder:
        network = open_network(network_options, steps)
        note_assumed(network, steps)
        checked = CHECK_IMAGES if curve else 0
        plan = ImagePlan(
            options,
            network.spec.input_size,
            calibrated=options.samples,
            checked=checked,
            pictures=network.pictures,
            synthetic=checked,
        )
        contents = note_contents(plan.source, steps)
        note_held_out(plan, steps)
        points: tuple[CurvePoint, ...] = ()
        with float32_runner(network, folder, steps) as runner:
            counts = counts_up_to(plan.calibrated) if curve else (plan.calibrated,)
            snapshots = take_snapshots(network, runner, plan, steps, counts)
            if curve:
                images = plan.check_images()[:CHECK_IMAGES]
                points = measure_curve(network, runner, snapshots, images, folder, steps)
            taken = snapshots[plan.calibrated]
            ranges = adjusted(network, runner, plan, taken, folder, steps)
        note_doubtful(ranges, steps)
        note_unreadable(plan, steps)
        ranges.save(folder / output.name)
        publish(folder, output)
    return CalibrationReport(
        str(output),
        ranges.calibration,
        ranges.ranges,
        plan.unreadable,
        steps.seconds,
        peak_rss_bytes(),
        points,
        contents,
    )
