"""Parity: any mix of files and the Keras network on the same images, held to one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.artifact import Artifact
from vggexport.diagnosis.running_parity import Outputs, Tally
from vggexport.diagnosis.trials import diagnose, point_out
from vggexport.errors import Advice, InputError
from vggexport.formats.golden.golden_file import GoldenFile, GoldenImages, GoldenWriter
from vggexport.formats.golden.owner_answers import read_answers
from vggexport.formats.registry import KERAS, is_model
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.layers import OUTPUT_NAME
from vggexport.opening.calibration_images import translated
from vggexport.opening.file_check import read, tolerance_between
from vggexport.opening.models import (
    Contestant,
    RunOptions,
    check_same_network,
    enter_all,
    enter_golden,
)
from vggexport.opening.seen_images import count_seen, note_seen
from vggexport.results.verify import CandidateReport, RunnerRecord, VerifyReport
from vggexport.system.options import takes
from vggexport.system.output_files import output_folder, publish
from vggexport.system.process import package_versions, peak_rss_bytes
from vggexport.system.progress import Progress, Steps

DEFAULT_IMAGES = 200
CHUNK = 8
"""Images in memory at a time; one with all its layers, which are 60 MB for VGG-D."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What is held to what, on which images.

    Attributes:
        artifacts: Paths of ``.onnx`` and ``.tflite`` files, of SavedModel directories, and sources
            of weights, which stand for the Keras network.
        reference: One more of them, "keras" for the Keras network of their weights, or None for the
            first artifact.
        data: A folder, an ``.npz`` file or "synthetic".
        images: Number of images, at most.
        seed: Of the choice of images.
        run: How they run.
        layers: Compare every layer too.
        diagnose: Try the known mistakes on a file that fails.
        strict: Refuse images that an artifact's calibration took ranges from.
        limits: Tolerances to use instead of those of the precisions; what is None there is kept.
        golden: A golden file, whose images and answers stand for data and reference.
        answers: An .npz of images and the probabilities that the network's owner gets for them, as
            reference.
        save_golden: Where to write the reference's answers as a golden file.
        force: Replace that if it exists.
    """

    artifacts: tuple[str, ...] | list[str]
    reference: str | None = None
    data: str = calibration.SYNTHETIC
    images: int = DEFAULT_IMAGES
    seed: int = 0
    run: RunOptions = field(default_factory=RunOptions)
    layers: bool = False
    diagnose: bool = True
    strict: bool = False
    limits: Tolerance | None = None
    golden: Path | None = None
    answers: Path | None = None
    save_golden: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        recorded = self.golden or self.answers
        if self.golden and self.answers:
            raise InputError(
                f"{self.golden} and {self.answers} are two references",
                Advice("name either {} or {}", "golden", "answers"),
            )
        if recorded and (self.reference or self.data != calibration.SYNTHETIC):
            raise InputError(
                f"{recorded} brings the reference and the images",
                Advice("leave out {} and {}", "reference", "data"),
            )
        if recorded and self.layers:
            raise InputError(
                f"{recorded} holds outputs, not layers", Advice("leave out {}", "layers")
            )

    @property
    def sources(self) -> tuple[str, ...]:
        """The reference, unless its answers are recorded, and the candidates, in that order.

        Raises:
            InputError: There are no two.
        """
        if self.golden or self.answers:
            return tuple(self.artifacts)
        reference = self.reference or self.artifacts[0]
        if reference == KERAS:
            reference = next((a for a in self.artifacts if not is_model(a)), KERAS)
        sources = (reference, *(a for a in self.artifacts if a != reference))
        if len(sources) < len(("reference", "candidate")):
            raise InputError(
                "verify needs a reference and something to hold to it: name two artifacts"
            )
        return sources


@takes(VerifyOptions)
def verify(
    options: VerifyOptions,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> VerifyReport:
    """Runs all on the same images, a few at a time, and compares each with the reference.

    Args:
        options: What is held to what.
        progress: Who shows how far it is.
        clock: Gives seconds; injected by tests.

    Raises:
        ArtifactError: An artifact cannot be read, or two are of different networks.
        CalibrationError: The images cannot be used, or ``strict`` refuses one.
        InputError: There is nothing to compare.
        Unavailable: A runtime or execution provider is not to be had.
    """
    steps = Steps(progress or Progress(), clock=clock)
    with ExitStack() as entered:
        contestants = enter_all(entered, options.sources, options.run, steps)
        recorded = _recorded(options, contestants[0].artifact)
        if recorded:
            contestants.insert(0, enter_golden(entered, recorded))
        reference, *candidates = contestants
        for other in candidates:
            check_same_network(reference, other)
        images = _open_images(options, recorded, reference.artifact.spec.input_size)
        match = _Match(reference, candidates, options, clock)
        record = _recording(options, reference, len(images))
        with steps.step("verify"), translated(), record as write:
            for chunk in _chunks(steps.track(iter(images), len(images)), match.chunk):
                write(chunk, match.play(chunk)[OUTPUT_NAME])
        for unreadable in images.unreadable:
            steps.progress.note(f"skipped unreadable image {unreadable.label}: {unreadable.reason}")
        reports = tuple(match.report(candidate, steps) for candidate in candidates)
    report = VerifyReport(
        match.record(reference),
        match.images,
        images.source.name,
        reports,
        steps.seconds,
        peak_rss_bytes(),
        package_versions(),
        match.reference_seen,
    )
    _note_seen(report, steps)
    return report


def _recorded(options: VerifyOptions, known: Artifact) -> GoldenFile | None:
    """The reference where its answers are recorded."""
    if options.answers:
        return read_answers(options.answers, known)
    return GoldenFile.read(options.golden) if options.golden else None


def _open_images(
    options: VerifyOptions, golden: GoldenFile | None, size: int
) -> calibration.CalibrationImages:
    with translated():
        source: calibration.ImageSource = (
            GoldenImages(golden)
            if golden
            else calibration.open_source(
                options.data, size=size, seed=options.seed, samples=options.images
            )
        )
        count = min(options.images, len(source))
        return calibration.CalibrationImages(source, count, seed=options.seed)


@contextmanager
def _recording(
    options: VerifyOptions, reference: Contestant, count: int
) -> Iterator[Callable[[Sequence[calibration.SourceImage], NDArray[np.float32]], None]]:
    """What takes images and the reference's answers, for a golden file if one is to be saved."""
    place = options.save_golden
    if place is None:
        yield lambda _images, _answers: None
        return
    with output_folder(place, force=options.force) as folder:
        with GoldenWriter(
            folder / place.name,
            reference.artifact,
            runtime=reference.runner.runtime,
            provider=reference.runner.provider,
            count=count,
        ) as writer:
            yield writer.add
        publish(folder, place)


def _chunks(
    images: Iterator[calibration.SourceImage], size: int
) -> Iterator[Sequence[calibration.SourceImage]]:
    while chunk := tuple(islice(images, size)):
        yield chunk


class _Match:
    """The reference and every candidate on the same images.

    Attributes:
        images: Images so far.
        reference_seen: Of them those that the reference was calibrated on.
        chunk: Images to take at a time.
    """

    def __init__(
        self,
        reference: Contestant,
        candidates: Sequence[Contestant],
        options: VerifyOptions,
        clock: Callable[[], float],
    ) -> None:
        self._reference = reference
        self._candidates = candidates
        self._options = options
        self._clock = clock
        spec, labels = reference.artifact.spec, reference.artifact.labels
        layers = [layer.name for layer in spec.layers] if options.layers else []
        self._names = layers or [OUTPUT_NAME]
        self._tallies = [
            Tally(layers, labels or candidate.artifact.labels) for candidate in candidates
        ]
        self._sample: list[NDArray[np.uint8]] = []
        self.chunk = 1 if layers else CHUNK
        self.images = self.reference_seen = 0
        self._seconds = dict.fromkeys((reference, *candidates), 0.0)

    def play(self, chunk: Sequence[calibration.SourceImage]) -> Outputs:
        """Runs all on some images, and gives what the reference gave.

        Raises:
            CalibrationError: One was calibrated on, and ``strict`` is set.
        """
        self.reference_seen += self._count_seen(self._reference, chunk)
        for candidate, tally in zip(self._candidates, self._tallies, strict=True):
            tally.seen += self._count_seen(candidate, chunk)
        pixels = np.stack([image.pixels for image in chunk])
        expected = self._run(self._reference, pixels)
        for candidate, tally in zip(self._candidates, self._tallies, strict=True):
            tally.add(chunk, expected, self._run(candidate, pixels))
        self._sample.extend(pixels[: CHUNK - len(self._sample)])
        self.images += len(chunk)
        return expected

    def record(self, contestant: Contestant) -> RunnerRecord:
        """What ran, and for how long."""
        return contestant.record(self._seconds[contestant])

    def report(self, candidate: Contestant, steps: Steps) -> CandidateReport:
        """What all images together give for one candidate, and why it failed."""
        tally = self._tallies[self._candidates.index(candidate)]
        tolerance = tolerance_between(self._reference.artifact, candidate.artifact)
        layers = tally.layers()
        report = CandidateReport(
            self.record(candidate),
            tally.metrics(),
            _limited(tolerance, self._options.limits),
            tally.worst(),
            tally.scatter(),
            layers,
            point_out(self._reference.artifact, candidate.artifact, layers),
            seen=tally.seen,
        )
        if not (report.failures and self._options.diagnose):
            return report
        with steps.step("diagnose"):
            sample = np.stack(self._sample)
            found = diagnose(self._reference, candidate, sample, report.tolerance, steps)
        suspicious = report.suspicious or found.suspicious
        return replace(report, diagnosis=found, suspicious=suspicious)

    def _run(self, contestant: Contestant, pixels: NDArray[np.uint8]) -> Outputs:
        begin = self._clock()
        outputs = read(contestant.runner, pixels, self._names, contestant.artifact.batch or 1)
        self._seconds[contestant] += self._clock() - begin
        return outputs

    def _count_seen(self, contestant: Contestant, chunk: Sequence[calibration.SourceImage]) -> int:
        return count_seen(contestant, chunk, strict=self._options.strict)


def _limited(tolerance: Tolerance, limits: Tolerance | None) -> Tolerance:
    """A tolerance with the limits that the user set in place of its own."""
    if limits is None:
        return tolerance
    names = ("max_abs", "min_logit_sqnr_db", "min_sqnr_db", "min_top1_agreement")
    given = {name: value for name in names if (value := getattr(limits, name)) is not None}
    return replace(tolerance, reason=limits.reason, **given) if given else tolerance


def _note_seen(report: VerifyReport, steps: Steps) -> None:
    candidates = [(candidate.runner, candidate.seen) for candidate in report.candidates]
    for runner, seen in ((report.reference, report.reference_seen), *candidates):
        note_seen(runner.path, seen, steps)
