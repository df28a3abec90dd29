"""Activation ranges: images through the float32 network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import load_exporter, load_runner
from vggexport.formats.runner import Runner
from vggexport.network.head import HeadActivation
from vggexport.network.spec import VGGSpec
from vggexport.opening.calibration_images import ImagePlan, translated
from vggexport.opening.int8_adjustments import adjusted
from vggexport.opening.network import Network
from vggexport.precision import Precision
from vggexport.quantization.calibrate import observe_growing
from vggexport.quantization.ranges import ActivationRanges, observed_layers
from vggexport.system.progress import Steps

ONE_CLASS_SHARE = 0.9
"""Of the images, given the same class: from here on they are of that one."""


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
    chosen = _ChosenClasses(network.spec, runner)
    with steps.step("calibrate"), translated():
        growing = observe_growing(chosen.activations, network.spec, images, plan.method)
        for count, ranges in enumerate(growing, start=1):
            if count in counts:
                found[count] = ranges()
        if count not in found:  # some could not be read, and there are no others
            found[count] = ranges()
    is_known = network.record.trained and plan.source.name != calibration.SYNTHETIC
    record = replace(plan.record(), one_class=True if is_known and chosen.are_one else None)
    return {
        count: ActivationRanges(network.spec, network.record, record, ranges, network.pictures)
        for count, ranges in found.items()
    }


class _ChosenClasses:
    """Which class a network gives each calibration image, as its activations go by."""

    def __init__(self, spec: VGGSpec, runner: Runner) -> None:
        self._logits = observed_layers(spec)[-1]
        self._is_softmax = spec.head_activation is HeadActivation.SOFTMAX
        self._runner = runner
        self._counts: Counter[bytes] = Counter()

    def activations(
        self, images: NDArray[np.uint8], names: Iterable[str]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Those of the runner."""
        found = self._runner.activations(images, names)
        for logits in found[self._logits]:
            # Of a sigmoid, the classes are those that are on the upper side.
            chosen = logits.argmax() if self._is_softmax else logits > 0
            self._counts[chosen.tobytes()] += 1
        return found

    @property
    def are_one(self) -> bool:
        """Whether (nearly) all images are of one class to it."""
        ((_, most),) = self._counts.most_common(1)
        return most >= ONE_CLASS_SHARE * self._counts.total()
