"""Activation ranges: images through the float32 network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport import registry
from vggexport.artifact import CalibrationRecord
from vggexport.environment import peak_rss_bytes
from vggexport.errors import CalibrationError
from vggexport.exporters import EXPORTERS
from vggexport.exporters.interface import Exporter, ExportRequest
from vggexport.output import output_folder, publish
from vggexport.progress import Progress, Silent, Steps
from vggexport.quantization.calibrate import observe_growing
from vggexport.quantization.ranges import ActivationRanges, observed_layers
from vggexport.reports.results import CalibrationReport
from vggexport.reports.sufficiency import CurvePoint
from vggexport.runners import RUNNERS
from vggexport.runners.interface import Runner
from vggexport.spec import Precision
from vggexport.workflows.network import Network, NetworkOptions, open_network
from vggexport.workflows.sufficiency import CHECK_IMAGES, counts_up_to, measure_curve

DEFAULT_SAMPLES = 128

SPARE_SYNTHETIC = 8
"""Synthetic images beyond the calibration's, for checks. Always as many: the choice of images must
not depend on whether a check follows."""


@dataclass(frozen=True, slots=True)
class CalibrationOptions:
    """Which images, and how ranges are taken from them.

    Attributes:
        data: A folder, an ``.npz`` file or "synthetic".
        samples: Number of images.
        method: "minmax", "percentile", "entropy" or "mse".
        seed: Of the choice of images, and of synthetic ones.
    """

    data: str = calibration.SYNTHETIC
    samples: int = DEFAULT_SAMPLES
    method: str = calibration.DEFAULT_METHOD
    seed: int = 0


class ImagePlan:
    """The images of one job: the first for calibration, the last for checks.

    Where the source has more images than the calibration takes, the checks get ones that it has
    not seen; otherwise the last that it has.

    Args:
        options: Which images.
        size: Side of the network's input.
        calibrated: Images to take ranges from; 0 for none.
        checked: Images to check on, at most.

    Raises:
        CalibrationError: The source cannot be used, or has fewer than ``calibrated`` images.
    """

    def __init__(
        self, options: CalibrationOptions, size: int, *, calibrated: int, checked: int
    ) -> None:
        self.calibrated = calibrated
        self.checked = checked
        self.method = options.method
        with translated():
            source = calibration.open_source(
                options.data, size=size, seed=options.seed, samples=calibrated + SPARE_SYNTHETIC
            )
            self._images = calibration.CalibrationImages(
                source, calibrated or min(checked, 1), spare=checked, seed=options.seed
            )
        self._source = source.name
        self._checks: deque[NDArray[np.uint8]] = deque(maxlen=checked)
        self._stream = self._deliver()

    def calibration_images(self) -> Iterator[NDArray[np.uint8]]:
        """The images for calibration, uint8 (size, size, 3), once."""
        return islice(self._stream, self.calibrated)

    def check_images(self) -> NDArray[np.uint8]:
        """The images for checks, uint8 (images, size, size, 3), after those for calibration."""
        for _ in self._stream:
            pass
        return np.stack(self._checks)

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The images skipped so far, with what is wrong with each."""
        return tuple(f"{image.label}: {image.reason}" for image in self._images.unreadable)

    def record(self) -> CalibrationRecord:
        """What an artifact records of the calibration, once its images have been read."""
        digests = self._images.digests[: self.calibrated]
        return CalibrationRecord(
            self._source, len(digests), self.method, calibration.fingerprint(digests), digests
        )

    def _deliver(self) -> Iterator[NDArray[np.uint8]]:
        with translated():
            for image in self._images:
                self._checks.append(image.pixels)
                yield image.pixels


@contextmanager
def translated() -> Iterator[None]:
    """Turns the errors of ``calibration``, which knows nothing of this package, into ours."""
    try:
        yield
    except calibration.CalibrationDataError as error:
        raise CalibrationError(str(error)) from error


def calibrate(
    network_options: NetworkOptions,
    options: CalibrationOptions,
    output: Path | None = None,
    *,
    curve: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> CalibrationReport:
    """Takes activation ranges and saves them for ``--ranges``.

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
    steps = Steps(progress or Silent())
    output = output or Path(f"vgg_{network_options.configuration.lower()}_ranges.json")
    with output_folder(output, force=force) as folder:
        network = open_network(network_options, steps)
        checked = CHECK_IMAGES if curve else 0
        plan = ImagePlan(
            options, network.spec.input_size, calibrated=options.samples, checked=checked
        )
        points: tuple[CurvePoint, ...] = ()
        with float32_runner(network, folder, steps) as runner:
            counts = counts_up_to(options.samples) if curve else (options.samples,)
            snapshots = take_snapshots(network, runner, plan, steps, counts)
            if curve:
                images = plan.check_images()
                points = measure_curve(network, runner, snapshots, images, folder, steps)
        ranges = snapshots[options.samples]
        note_synthetic(ranges, steps)
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
    )


@contextmanager
def float32_runner(
    network: Network, folder: Path, steps: Steps, *, opset: int | None = None
) -> Iterator[Runner]:
    """The float32 network in ONNX Runtime, its observed layers readable, on a file in ``folder``.

    The file goes when the runner is closed.

    Args:
        network: What to run.
        folder: Where the file may be.
        steps: Who counts the seconds.
        opset: As for the file that is asked for: an opset out of range then fails at once.
    """
    path = folder / "float32.onnx"
    exporter: Exporter = registry.load(EXPORTERS, "onnx")()
    artifact = network.artifact(path, "onnx", Precision.FLOAT32)
    request = ExportRequest(
        artifact, network.weights, taps=observed_layers(network.spec), opset=opset
    )
    try:
        with ExitStack() as opened:
            with steps.step("float32"):
                exporter.export(request, path)
                runner: Runner = opened.enter_context(registry.load(RUNNERS, "onnx")(path))
            yield runner
    finally:
        path.unlink(missing_ok=True)


def take_ranges(
    network: Network, runner: Runner, plan: ImagePlan, steps: Steps
) -> ActivationRanges:
    """Observes the layers over the plan's calibration images.

    Raises:
        CalibrationError: Images cannot be read, or an activation is not finite.
    """
    return take_snapshots(network, runner, plan, steps, [plan.calibrated])[plan.calibrated]


def take_snapshots(
    network: Network, runner: Runner, plan: ImagePlan, steps: Steps, counts: Sequence[int]
) -> dict[int, ActivationRanges]:
    """The same after several numbers of images, each of which is of the plan's first ones.

    Raises:
        CalibrationError: Images cannot be read, or an activation is not finite.
    """
    images = steps.track(plan.calibration_images(), plan.calibrated)
    found = {}
    with steps.step("calibrate"), translated():
        growing = observe_growing(runner.activations, network.spec, images, plan.method)
        for count, ranges in enumerate(growing, start=1):
            if count in counts:
                found[count] = ranges()
    record = plan.record()
    return {
        count: ActivationRanges(network.spec, network.record, record, ranges)
        for count, ranges in found.items()
    }


def note_synthetic(ranges: ActivationRanges | None, steps: Steps) -> None:
    """Says so where ranges come from images that the tool made."""
    if ranges and ranges.calibration.source == calibration.SYNTHETIC:
        steps.progress.note("calibrated on synthetic images: for pipelines and latency only")


def note_unreadable(plan: ImagePlan | None, steps: Steps) -> None:
    """Names the images that were skipped."""
    for image in plan.unreadable if plan else ():
        steps.progress.note(f"skipped unreadable image {image}")
