"""The reference and every candidate on the same images, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.diagnosis.running_parity import Outputs, RunningParity
from vggexport.diagnosis.trials import diagnose, point_out
from vggexport.metrics.placement import CUDA_PROVIDER, QNN_PROVIDER
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.layers import OUTPUT_NAME
from vggexport.opening.file_check import read, same_integers, tolerance_between
from vggexport.opening.models import OpenedModel, shared_layers
from vggexport.opening.same_network import pruning_between
from vggexport.opening.seen_images import count_seen
from vggexport.results.verify import CandidateReport, RunnerRecord
from vggexport.system.process import give_back_memory
from vggexport.system.progress import Steps
from vggexport.workflows.verify.options import VerifyOptions

CHUNK = 8
"""Images in memory at a time; one with all its layers, which are 60 MB for VGG-D, and one on
Qualcomm's NPU, whose emulator takes a minute for it."""
KERAS_BATCH = 2
"""Images that Keras' network runs at a time, since it reads its weights for each time; more take
more memory and no less time. Files run image by image, as applications run them."""


class Comparison:
    """The reference and every candidate on the same images, taken in chunks."""

    def __init__(
        self,
        reference: OpenedModel,
        candidates: Sequence[OpenedModel],
        options: VerifyOptions,
        clock: Callable[[], float],
    ) -> None:
        self._reference = reference
        self._candidates = candidates
        self._options = options
        self._clock = clock
        artifacts = [model.artifact for model in (reference, *candidates)]
        labels = next((a.labels for a in artifacts if a.labels), ())  # of one network, as checked
        self._labels = labels
        layers = shared_layers(reference, *candidates) if options.layers else ()
        self._layers = layers
        self._parities = [
            RunningParity(
                [name for name in layers if _is_as_wide(reference, candidate, name)]
                if candidate.artifact.layer_names
                else (),
                labels,
                reference.artifact.spec.head_activation,
            )
            for candidate in candidates
        ]
        slow = any(m.runner.provider == QNN_PROVIDER for m in (reference, *candidates))
        self.chunk = 1 if layers or slow else CHUNK
        self.images = self.reference_seen = 0
        self._seconds = dict.fromkeys((reference, *candidates), 0.0)

    def add(self, chunk: Sequence[calibration.SourceImage]) -> Outputs:
        """Runs all on some images, and gives what the reference gave.

        Raises:
            CalibrationError: One was calibrated on, and ``strict`` is set.
        """
        self.reference_seen += self._count_seen(self._reference, chunk)
        for candidate, parity in zip(self._candidates, self._parities, strict=True):
            parity.seen += self._count_seen(candidate, chunk)
        pixels = np.stack([image.pixels for image in chunk])
        expected = self._run(self._reference, pixels)
        for candidate, parity in zip(self._candidates, self._parities, strict=True):
            parity.add(chunk, expected, self._run(candidate, pixels))
        self.images += len(chunk)
        return expected

    def record(self, model: OpenedModel) -> RunnerRecord:
        """What ran, and for how long."""
        return model.record(self._seconds[model])

    def report(self, candidate: OpenedModel, steps: Steps) -> CandidateReport:
        """What all images together give for one candidate, and why it failed."""
        parity = self._parities[self._candidates.index(candidate)]
        tolerance = self._tolerance(candidate)
        narrowed = pruning_between(self._reference.artifact, candidate.artifact)
        layers = parity.layers()
        report = CandidateReport(
            self.record(candidate),
            parity.metrics(),
            _limited(tolerance, self._options.limits),
            parity.worst(),
            parity.scatter(),
            layers,
            None if narrowed else point_out(self._reference.artifact, candidate.artifact, layers),
            seen=parity.seen,
            layer_images=parity.layer_images,
            classes=candidate.artifact.spec.classes,
            labels=self._labels,
        )
        if narrowed or not (report.failures and self._options.diagnose):
            return report
        with steps.step("diagnose"):
            worst = np.stack([image.pixels for image in report.worst])
            found = diagnose(self._reference, candidate, worst, tolerance, report.metrics, steps)
        suspicious = report.suspicious or found.suspicious
        return replace(report, diagnosis=found, suspicious=suspicious)

    def _tolerance(self, candidate: OpenedModel) -> Tolerance:
        """As between two files, or two runs of one: an NPU has other roundings than a CPU."""
        reference = self._reference.artifact
        on_npu = candidate.runner.provider == QNN_PROVIDER
        if on_npu and same_integers(reference, candidate.artifact):
            return candidate.artifact.profile.on_accelerator
        providers = {model.runner.provider for model in (self._reference, candidate)}
        on_cpu = CUDA_PROVIDER not in providers
        return tolerance_between(reference, candidate.artifact, on_cpu=on_cpu)

    def _run(self, model: OpenedModel, pixels: NDArray[np.uint8]) -> Outputs:
        begin = self._clock()
        sampled = self._layers and self.images < self._options.layer_images
        names = self._layers if sampled and model.artifact.layer_names else (OUTPUT_NAME,)
        batch = model.artifact.batch or (KERAS_BATCH if model.network else 1)
        outputs = read(model.runner, pixels, names, batch)
        give_back_memory()
        self._seconds[model] += self._clock() - begin
        return outputs

    def _count_seen(self, model: OpenedModel, chunk: Sequence[calibration.SourceImage]) -> int:
        return count_seen(model, chunk, strict=self._options.strict)


def _is_as_wide(reference: OpenedModel, candidate: OpenedModel, name: str) -> bool:
    """Whether a layer has as many outputs in both: all but where one was made narrower."""
    first, second = (model.artifact.spec.layer(name) for model in (reference, candidate))
    return first.output_shape == second.output_shape


def _limited(tolerance: Tolerance, limits: Tolerance | None) -> Tolerance:
    """A tolerance with the limits that the user set in place of its own."""
    if limits is None:
        return tolerance
    names = ("max_abs", "min_logit_sqnr_db", "min_sqnr_db", "min_top1_agreement")
    given = {name: value for name in names if (value := getattr(limits, name)) is not None}
    if not given:
        return tolerance
    finer = (
        ("min_sure_agreement", "min_top1_agreement"),
        ("negligible_logit_error", "min_logit_sqnr_db"),
        ("min_coarse_logit_sqnr_db", "min_sqnr_db"),
        ("min_half_logit_sqnr_db", "min_logit_sqnr_db"),
    )
    overruled = dict.fromkeys(own for own, by in finer if by in given)
    return replace(tolerance, reason=limits.reason, **given, **overruled)
