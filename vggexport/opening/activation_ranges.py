"""Activation ranges: images through the float32 network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import load_exporter, load_runner
from vggexport.formats.runner import Runner
from vggexport.opening.calibration_images import ImagePlan, translated
from vggexport.opening.int8_adjustments import adjusted
from vggexport.opening.network import Network
from vggexport.precision import Precision
from vggexport.quantization.calibrate import observe_growing
from vggexport.quantization.ranges import ActivationRanges, observed_layers
from vggexport.system.progress import Steps


@contextmanager
def float32_runner(
    network: Network, folder: Path, steps: Steps, *, opset: int | None = None
) -> Iterator[Runner]:
    """The float32 network in ONNX Runtime, its observed layers readable, on a file in ``folder``.

    The file is removed when the runner is closed. ``opset`` is that of the file that is asked for,
    so that one out of range fails at once.
    """
    path = folder / "float32.onnx"
    artifact = network.artifact(path, "onnx", Precision.FLOAT32)
    request = ExportRequest(
        artifact, network.weights, taps=observed_layers(network.spec), opset=opset
    )
    try:
        with ExitStack() as opened:
            with steps.step("float32"):
                load_exporter("onnx").export(request, path)
                runner = opened.enter_context(load_runner("onnx")(path))
            yield runner
    finally:
        path.unlink(missing_ok=True)


def take_ranges(
    network: Network, runner: Runner, plan: ImagePlan, folder: Path, steps: Steps
) -> ActivationRanges:
    """Observes the layers over the calibration images, and adjusts ranges where that clearly gains.

    Raises:
        CalibrationError: Images cannot be read, or an activation is not finite.
    """
    found = take_snapshots(network, runner, plan, steps, [plan.calibrated])[plan.calibrated]
    return adjusted(network, runner, plan, found, folder, steps)


def take_snapshots(
    network: Network, runner: Runner, plan: ImagePlan, steps: Steps, counts: Sequence[int]
) -> dict[int, ActivationRanges]:
    """Ranges after several numbers of images, each of which is of the plan's first ones.

    Biases are as they were.

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
        if count not in found:  # some could not be read, and there are no others
            found[count] = ranges()
    record = plan.record()
    return {
        count: ActivationRanges(network.spec, network.record, record, ranges, network.pictures)
        for count, ranges in found.items()
    }
