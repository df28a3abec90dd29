"""Parity: any mix of files and the Keras network on the same images, held to one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport import registry
from vggexport.artifact import Artifact, format_of
from vggexport.environment import peak_rss_bytes
from vggexport.errors import ArtifactError, CalibrationError, InputError
from vggexport.parity import Comparison, Tolerance, decibels
from vggexport.progress import Progress, Silent, Steps
from vggexport.reports.results import CandidateReport, LayerParity, RunnerRecord, VerifyReport
from vggexport.runners import RUNNERS
from vggexport.runners.interface import Runner
from vggexport.spec import OUTPUT_NAME, Precision, VGGSpec
from vggexport.weights import SpecRequest
from vggexport.workflows.calibrating import translated
from vggexport.workflows.checking import read, tolerance_between
from vggexport.workflows.network import NetworkOptions, open_network

DEFAULT_IMAGES = 200
CHUNK = 8
"""Images in memory at a time; one with all its layers, which are 60 MB for VGG-D."""

KERAS = "keras"
MODEL_SUFFIXES = (".onnx", ".tflite")


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What is held to what, on which images.

    Attributes:
        artifacts: Paths of ``.onnx`` and ``.tflite`` files, of SavedModel directories, and sources
            of weights, which stand for the Keras network.
        reference: One more of them, or None for the first artifact.
        data: A folder, an ``.npz`` file or "synthetic".
        images: Number of images, at most.
        seed: Of the choice of images.
        threads: Threads of each runtime; 0 where the runtime chooses.
        provider: ONNX Runtime's execution provider, or None for its CPU's.
        layers: Compare every layer too.
        strict: Refuse images that an artifact's calibration took ranges from.
        limits: Tolerances to use instead of those of the precisions; what is None there is kept.
    """

    artifacts: tuple[str, ...]
    reference: str | None = None
    data: str = calibration.SYNTHETIC
    images: int = DEFAULT_IMAGES
    seed: int = 0
    threads: int = 0
    provider: str | None = None
    layers: bool = False
    strict: bool = False
    limits: Tolerance | None = None


@dataclass(slots=True)
class _Contestant:
    """One network that runs, and what it is: of the Keras network that is made up from its spec."""

    path: str
    runner: Runner
    artifact: Artifact

    @property
    def record(self) -> RunnerRecord:
        return RunnerRecord(
            self.path, self.runner.runtime, self.runner.provider, self.artifact.precision
        )


def verify(options: VerifyOptions, progress: Progress | None = None) -> VerifyReport:
    """Runs all on the same images, a few at a time, and compares each with the reference.

    Args:
        options: What is held to what.
        progress: Who shows how far it is.

    Raises:
        ArtifactError: An artifact cannot be read, or two are of different networks.
        CalibrationError: The images cannot be used, or ``strict`` refuses one.
        Unavailable: A runtime or execution provider is not to be had.
    """
    steps = Steps(progress or Silent())
    sources = [options.reference, *options.artifacts] if options.reference else options.artifacts
    if len(sources) < len(("reference", "candidate")):
        raise InputError("verify needs a reference and something to hold to it: name two artifacts")
    with ExitStack() as entered:
        with steps.step("load"):
            reference, *candidates = _enter_all(entered, sources, options, steps)
            for candidate in candidates:
                _check_same_network(reference, candidate)
        tally = _Tally(reference, candidates, layers=options.layers)
        with steps.step("verify"), translated():
            images = _open_images(options, reference.artifact.spec.input_size)
            size = 1 if options.layers else CHUNK
            for chunk in _chunks(steps.track(iter(images), len(images)), size):
                tally.add(chunk, strict=options.strict)
        for unreadable in images.unreadable:
            steps.progress.note(f"skipped unreadable image {unreadable.label}: {unreadable.reason}")
        reports = tuple(tally.report(candidate, options.limits) for candidate in candidates)
    _note_seen(reports, steps)
    return VerifyReport(
        reference.record, tally.images, options.data, reports, steps.seconds, peak_rss_bytes()
    )


def _enter_all(
    entered: ExitStack, sources: Sequence[str], options: VerifyOptions, steps: Steps
) -> list[_Contestant]:
    """Opens the files, and then the weights, of whose network a file tells more than shapes do."""
    files = {s: _enter_file(entered, s, options) for s in sources if _is_model(Path(s))}
    known = next((file.artifact.spec for file in files.values()), None)
    return [files.get(s) or _enter_keras(entered, s, known, options, steps) for s in sources]


def _is_model(path: Path) -> bool:
    return path.is_dir() or path.suffix in MODEL_SUFFIXES


def _enter_keras(
    entered: ExitStack, source: str, known: VGGSpec | None, options: VerifyOptions, steps: Steps
) -> _Contestant:
    request = NetworkOptions(weights=source, request=known or SpecRequest())
    network = open_network(request, steps, in_memory=True)
    keras = registry.load(RUNNERS, KERAS)
    runner: Runner = entered.enter_context(
        keras(network.spec, dict(network.weights), threads=options.threads)
    )
    return _Contestant(source, runner, network.artifact(Path(source), KERAS, Precision.FLOAT32))


def _enter_file(entered: ExitStack, source: str, options: VerifyOptions) -> _Contestant:
    path = Path(source)
    file_format = format_of(path)
    chosen = file_format == "onnx" and options.provider
    extra = {"provider": chosen} if chosen else {}
    loaded = registry.load(RUNNERS, file_format)(path, threads=options.threads, **extra)
    runner: Runner = entered.enter_context(loaded)
    if runner.artifact is None:
        raise ArtifactError(f"{source} does not say which network it is: not made by vggexport")
    return _Contestant(source, runner, runner.artifact)


def _check_same_network(reference: _Contestant, candidate: _Contestant) -> None:
    """Refuses to compare what cannot agree: other sizes, other classes, another mean."""
    mine, theirs = (c.artifact.spec.to_json() for c in (reference, candidate))
    for key, value in mine.items():
        if theirs[key] != value:
            raise ArtifactError(
                f"{reference.path} and {candidate.path} are different networks: {key} is {value} "
                f"and {theirs[key]}"
            )
    labels = reference.artifact.labels, candidate.artifact.labels
    if all(labels) and labels[0] != labels[1]:
        first = next(pair for pair in zip(*labels, strict=True) if pair[0] != pair[1])
        raise ArtifactError(
            f"{reference.path} and {candidate.path} have different labels: {first[0]!r} is "
            f"{first[1]!r} there"
        )


def _open_images(options: VerifyOptions, size: int) -> calibration.CalibrationImages:
    source = calibration.open_source(
        options.data, size=size, seed=options.seed, samples=options.images
    )
    count = min(options.images, len(source))
    return calibration.CalibrationImages(source, count, seed=options.seed)


def _chunks(
    images: Iterator[calibration.SourceImage], size: int
) -> Iterator[Sequence[calibration.SourceImage]]:
    while chunk := tuple(islice(images, size)):
        yield chunk


class _Tally:
    """Comparisons of every candidate with the reference, image by image."""

    def __init__(
        self, reference: _Contestant, candidates: Sequence[_Contestant], *, layers: bool
    ) -> None:
        self._reference = reference
        self._names = [layer.name for layer in reference.artifact.spec.layers]
        if not layers:
            self._names = [OUTPUT_NAME]
        self._comparisons = {c.path: Comparison() for c in candidates}
        self._layers = {c.path: {n: _LayerSums() for n in self._names} for c in candidates}
        self._candidates = candidates
        self._seen = dict.fromkeys(self._comparisons, 0)
        self._labels: list[str] = []

    @property
    def images(self) -> int:
        """Images so far."""
        return len(self._labels)

    def add(self, chunk: Sequence[calibration.SourceImage], *, strict: bool) -> None:
        """Runs all on some images.

        Raises:
            CalibrationError: One was calibrated on, and ``strict`` is set.
        """
        for candidate in self._candidates:
            self._count_seen(candidate, chunk, strict=strict)
        pixels = np.stack([image.pixels for image in chunk])
        expected = self._run(self._reference, pixels)
        for candidate in self._candidates:
            actual = self._run(candidate, pixels)
            self._comparisons[candidate.path].add(expected[OUTPUT_NAME], actual[OUTPUT_NAME])
            for name, sums in self._layers[candidate.path].items():
                sums.add(expected[name], actual[name])
        self._labels += [image.label for image in chunk]

    def report(self, candidate: _Contestant, limits: Tolerance | None) -> CandidateReport:
        """What all images together give for one candidate."""
        comparison = self._comparisons[candidate.path]
        worst = "" if comparison.worst is None else self._labels[comparison.worst]
        layers = [sums.parity(n) for n, sums in self._layers[candidate.path].items()]
        tolerance = tolerance_between(self._reference.artifact, candidate.artifact)
        return CandidateReport(
            candidate.record,
            comparison.metrics(),
            _limited(tolerance, limits),
            worst,
            tuple(layers) if len(self._names) > 1 else (),
            self._seen[candidate.path],
        )

    def _run(
        self, contestant: _Contestant, pixels: NDArray[np.uint8]
    ) -> dict[str, NDArray[np.float32]]:
        return read(contestant.runner, pixels, self._names, contestant.artifact.batch or 1)

    def _count_seen(
        self, candidate: _Contestant, chunk: Sequence[calibration.SourceImage], *, strict: bool
    ) -> None:
        record = candidate.artifact.calibration
        calibrated = frozenset(record.image_digests) if record else frozenset()
        for image in chunk:
            if image.digest in calibrated:
                self._seen[candidate.path] += 1
                if strict:
                    raise CalibrationError(
                        f"{image.label} is one of the images that {candidate.path} was calibrated "
                        "on: verify on others, or without --strict"
                    )


class _LayerSums:
    """Sums over all images of one layer's values and errors."""

    def __init__(self) -> None:
        self._signal = self._noise = self._max_abs = 0.0

    def add(self, expected: NDArray[np.float32], actual: NDArray[np.float32]) -> None:
        error = actual.astype(np.float64) - expected
        self._signal += float(np.sum(np.square(expected, dtype=np.float64)))
        self._noise += float(np.sum(error**2))
        self._max_abs = float(np.maximum(self._max_abs, np.abs(error).max()))

    def parity(self, name: str) -> LayerParity:
        return LayerParity(name, decibels(self._signal, self._noise), self._max_abs)


def _limited(tolerance: Tolerance, limits: Tolerance | None) -> Tolerance:
    """A tolerance with the limits that the user set in place of its own."""
    if limits is None:
        return tolerance
    names = ("max_abs", "min_logit_sqnr_db", "min_sqnr_db", "min_top1_agreement")
    given = {name: value for name in names if (value := getattr(limits, name)) is not None}
    return replace(tolerance, reason=limits.reason, **given) if given else tolerance


def _note_seen(reports: Sequence[CandidateReport], steps: Steps) -> None:
    for report in reports:
        if report.seen:
            steps.progress.note(
                f"{report.seen} of the images were calibrated on for {report.runner.path}: what "
                "they say of unseen images is too good"
            )
