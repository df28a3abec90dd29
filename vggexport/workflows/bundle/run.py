"""The hand-off package: what may be shipped, put together with what it takes to check it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import chain
from pathlib import Path

import calibration
from vggexport.artifact import Artifact
from vggexport.bundles import LABELS, MANIFEST, MODEL_CARD, PREPROCESSING, README, REPORTS, SIGNING
from vggexport.bundles.answers import GivenAnswers
from vggexport.bundles.archive import FIRST_MOMENT, check_moment
from vggexport.bundles.checksums import Digest, listing_digest
from vggexport.bundles.evidence import Evidence
from vggexport.bundles.golden_files import write_golden
from vggexport.bundles.golden_images import ChosenImages, choose_images, recorded_images
from vggexport.bundles.golden_run import REPEATABLE_THREADS, answer
from vggexport.bundles.layouts import LAYOUTS, PLAIN
from vggexport.bundles.layouts.interface import PlacedModel
from vggexport.bundles.model_card import guide, model_card
from vggexport.bundles.names import check_names
from vggexport.bundles.preprocessing import Preprocessing
from vggexport.bundles.release_checks import (
    Model,
    check_evidence,
    check_shippable,
    chosen_labels,
    read_evidence,
    read_model,
)
from vggexport.bundles.sizes import file_size
from vggexport.bundles.staging import Staging
from vggexport.bundles.static import static_files
from vggexport.errors import Advice, InputError, Unfinished
from vggexport.formats.registry import FORMATS
from vggexport.metrics.parity import compare
from vggexport.opening.file_check import tolerance_between
from vggexport.results.bundle import AnswerCheck, BundleReport, FileSize, SizeGate
from vggexport.results.bundle_manifest import Manifest
from vggexport.system import registry
from vggexport.system.options import takes
from vggexport.system.output_files import output_folder, publish
from vggexport.system.process import package_versions, peak_rss_bytes
from vggexport.system.progress import Progress, Steps

_MAX_DATE_DIGITS = 18  # 64 bits hold them

DEFAULT_IMAGES = 8
ARCHIVE_SUFFIX = ".zip"
DATE_VARIABLE = "SOURCE_DATE_EPOCH"
"""https://reproducible-builds.org/specs/source-date-epoch/"""


@dataclass(frozen=True, slots=True)
class BundleOptions:
    """What is packed, and how.

    Attributes:
        artifacts: Model files and directories.
        output: An archive if it ends in ``.zip``, else a folder.
        layout: "plain", "triton", "tf-serving" or "ort-mobile".
        reports: JSON reports of other commands.
        golden: A golden file of ``verify``, or None to take images from ``data``.
        data: A folder, an ``.npz`` file or "synthetic".
        images: Number of golden images, at most.
        seed: Of the choice of images.
        labels: A file of class names, or None for those that the artifacts carry.
        licence: Of the weights, in words.
        weights_source: Where the weights came from, in words; None for what the artifacts say.
        sign: A private key.
        max_bytes: What a model file may have, or None.
        allow_untrained: Pack random weights and synthetic calibration.
        force: Replace an existing output.
    """

    artifacts: tuple[Path, ...] | list[Path]
    output: Path
    layout: str = PLAIN
    reports: tuple[Path, ...] = ()
    golden: Path | None = None
    data: str = calibration.SYNTHETIC
    images: int = DEFAULT_IMAGES
    seed: int = 0
    labels: Path | None = None
    licence: str | None = None
    weights_source: str | None = None
    sign: Path | None = None
    max_bytes: int | None = None
    allow_untrained: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        if self.golden and self.data != calibration.SYNTHETIC:
            leave_out = Advice("leave out {}", "data")
            raise InputError(f"golden file {self.golden} brings the images", leave_out)


@takes(BundleOptions)
def bundle(options: BundleOptions, progress: Progress | None = None) -> BundleReport:
    """Packs models with labels, preprocessing, golden images, manifest, model card and examples.

    Args:
        options: What is packed, and how.
        progress: Who shows how far it is.

    Returns:
        A report. If its ``failures`` are not empty nothing was packed.

    Raises:
        ArtifactError: A model cannot be read, or two are of different networks or weights.
        InputError: It may not be packed as it is.
        Unavailable: A runtime or a package is not installed.
    """
    steps = Steps(progress or Progress())
    moment, sign = _moment(options), _signer(options)
    with _output(options) as folder:
        with steps.step("read"):
            evidence = read_evidence(options.reports)
            models = [read_model(path) for path in options.artifacts]
            check_shippable(models, allow_untrained=options.allow_untrained)
            check_evidence(models, evidence)
        sizes = SizeGate(tuple(map(_file_size, models)), options.max_bytes)
        against = tuple(failure for report in evidence for failure in report.failures)
        if against or sizes.failures:
            return replace(_refused(options, sizes, (), steps), evidence=against)
        _note(models, options, steps)
        job = _Packing(options, models, evidence, folder, moment, sign, steps)
        checks = job.run()
        if any(check.failures for check in checks):
            return _refused(options, sizes, checks, steps)
        return job.pack(sizes, checks)


class _Packing:
    """One bundle on its way.

    Args:
        options: What is packed, and how.
        models: The models.
        evidence: The reports.
        folder: Temporary folder; what is left in it under the output's name is published.
        moment: Date of all files.
        sign: Gives the signature of the list of digests, or None for a bundle without one.
        steps: Who counts the seconds.
    """

    def __init__(
        self,
        options: BundleOptions,
        models: Sequence[Model],
        evidence: Sequence[Evidence],
        folder: Path,
        moment: int,
        sign: Callable[[bytes], bytes] | None,
        steps: Steps,
    ) -> None:
        self._options = options
        self._models = models
        self._evidence = evidence
        self._folder = folder
        self._moment = moment
        self._sign = sign
        self._steps = steps
        self._staging = Staging(folder)
        with steps.step("lay out"):
            self._placed = [self._place(model) for model in models]
            self._check_names()
        self._labels = chosen_labels(models[0].artifact, options.labels)

    def run(self) -> tuple[AnswerCheck, ...]:
        """Runs all models on the golden images and holds each to the reference."""
        with self._steps.step("images"):
            golden = self._choose_images()
        with self._steps.step("run"):
            placed = self._steps.track(iter(self._placed), len(self._placed))
            given = [
                answer(p.artifact, p.path, golden.pixels, threads=REPEATABLE_THREADS)
                for p in placed
            ]
        finest = min(range(len(given)), key=lambda i: self._placed[i].artifact.profile.coarseness)
        reference = golden.answers or replace(given[finest], tolerances=())
        artifact = golden.artifact or self._placed[finest].artifact
        write_golden(self._staging, golden.source, golden.labels, golden.pixels, reference, given)
        return tuple(
            _check(p.artifact, mine, artifact, reference)
            for p, mine in zip(self._placed, given, strict=True)
        )

    def pack(self, sizes: SizeGate, checks: tuple[AnswerCheck, ...]) -> BundleReport:
        """Adds everything that is left, and publishes the bundle."""
        with self._steps.step("pack"):
            manifest = self._manifest()
            self._add_texts(manifest, checks)
            for placed in self._placed:
                self._staging.add_files(placed.files)
            digest = self._write(self._folder / self._options.output.name)
            publish(self._folder, self._options.output)
        return BundleReport(
            str(self._options.output),
            manifest,
            sizes,
            checks,
            len(self._staging.files),
            _size(self._options.output),
            digest,
            self._options.sign is not None,
            self._steps.seconds,
            peak_rss_bytes(),
        )

    def _check_names(self) -> None:
        """Refuses names that no receiver could use, before anything is run.

        Raises:
            ArtifactError: There is one.
        """
        models = chain.from_iterable(placed.files for placed in self._placed)
        reports = (_report_place(evidence) for evidence in self._evidence)
        check_names(chain(models, reports), advice="rename what it is made of")

    def _choose_images(self) -> ChosenImages:
        options, artifact = self._options, self._models[0].artifact
        if options.golden:
            return recorded_images(options.golden, options.images, artifact)
        return choose_images(options.data, options.images, options.seed, artifact.spec.input_size)

    def _place(self, model: Model) -> PlacedModel:
        place = registry.load(LAYOUTS, self._options.layout)
        placed: PlacedModel = place(model.artifact, model.path, self._staging.scratch())
        return placed

    def _manifest(self) -> Manifest:
        options = self._options
        return Manifest(
            options.output.name.removesuffix(ARCHIVE_SUFFIX),
            options.layout,
            tuple(placed.bundled for placed in self._placed),
            self._labels,
            options.licence,
            options.weights_source or self._models[0].artifact.weights.source,
            self._moment,
            package_versions() | {"pillow": metadata.version("pillow")},
            tuple(map(_report_place, self._evidence)),
        )

    def _add_texts(self, manifest: Manifest, checks: Sequence[AnswerCheck]) -> None:
        spec, add = self._models[0].artifact.spec, self._staging.add
        for name, data in static_files().items():
            add(name, data)
        names = self._labels or tuple(map(str, range(spec.classes)))
        add(LABELS, "".join(f"{name}\n" for name in names).encode())
        for evidence in self._evidence:
            add(_report_place(evidence), evidence.content)
        described = Preprocessing.for_size(spec.input_size).to_json(self._ends())
        self._staging.add_json(PREPROCESSING, described)
        self._staging.add_json(MANIFEST, manifest.to_json())
        add(MODEL_CARD, model_card(manifest, self._evidence, checks).encode())
        add(README, guide(manifest, is_signed=self._options.sign is not None).encode())

    def _ends(self) -> dict[str, object]:
        return {
            placed.artifact.path: {
                "input": {**model.input.to_json(), "layout": "NHWC", "colour_order": "RGB"},
                "output": model.output.to_json(),
            }
            for placed, model in zip(self._placed, self._models, strict=True)
        }

    def _write(self, target: Path) -> str:
        """Digests, signature, and the archive or folder; the digest of the whole."""
        self._staging.seal(self._sign)
        self._check_unchanged()
        if _is_archive(self._options.output):
            return self._staging.write_archive(target, moment=self._moment)
        return self._staging.write_folder(target)

    def _check_unchanged(self) -> None:
        """Refuses a model that became another since it was read and its answers were taken.

        Raises:
            Unfinished: One did.
        """
        for placed in self._placed:
            if _packed_sha256(placed, self._staging.digests) != placed.artifact.sha256:
                raise Unfinished(
                    f"{placed.path} was changed while it was packed: bundle it when it is whole"
                )


@contextmanager
def _output(options: BundleOptions) -> Iterator[Path]:
    marker = None if _is_archive(options.output) else MANIFEST
    with output_folder(options.output, force=options.force, directory_marker=marker) as folder:
        yield folder


def _is_archive(output: Path) -> bool:
    return output.suffix == ARCHIVE_SUFFIX


def _report_place(evidence: Evidence) -> str:
    return f"{REPORTS}/{evidence.path.name}"


def _packed_sha256(placed: PlacedModel, digests: Mapping[str, Digest]) -> str:
    """The digest of a model as it is packed, in the sense of :func:`vggexport.artifact.sha256`."""
    place = placed.artifact.path
    if not placed.path.is_dir():
        return digests[place].sha256
    listed = {n: d.sha256 for n, d in digests.items() if n.startswith(f"{place}/")}
    return listing_digest({n.removeprefix(f"{place}/"): sha for n, sha in listed.items()})


def _file_size(model: Model) -> FileSize:
    return file_size(model.artifact, FORMATS[model.artifact.format].precisions)


def _size(path: Path) -> int:
    parts = path.rglob("*") if path.is_dir() else (path,)
    return sum(part.stat().st_size for part in parts if part.is_file())


def _moment(options: BundleOptions) -> int:
    """Date of all files: what the environment says, or the first that an archive can have.

    Raises:
        InputError: It is none, or none that the output can have.
    """
    text = os.environ.get(DATE_VARIABLE, "")
    if text and not (text.isdecimal() and len(text) <= _MAX_DATE_DIGITS):
        raise InputError(f"{DATE_VARIABLE} {text!r} is not a number of seconds since 1970")
    moment = int(text or FIRST_MOMENT)
    if _is_archive(options.output):
        check_moment(moment)
    return moment


def _signer(options: BundleOptions) -> Callable[[bytes], bytes] | None:
    """What signs, with its key read: a key that is none costs no work.

    Raises:
        InputError: The key cannot be used.
        Unavailable: The package that knows signatures is not installed.
    """
    if options.sign is None:
        return None
    sign: Callable[[bytes], bytes] = registry.load(SIGNING, "signer")(options.sign)
    return sign


def _check(
    artifact: Artifact, given: GivenAnswers, of: Artifact, reference: GivenAnswers
) -> AnswerCheck:
    return AnswerCheck(
        artifact.path,
        artifact.format,
        artifact.precision.value,
        given.runtime,
        given.provider,
        compare(reference.probabilities, given.probabilities),
        tolerance_between(of, artifact),
    )


def _note(models: Sequence[Model], options: BundleOptions, steps: Steps) -> None:
    """What a receiver will ask for."""
    if options.licence is None:
        steps.progress.note(
            "the licence of the weights is not stated", Advice("pass {}", "licence")
        )
    if not (options.labels or models[0].artifact.labels):
        steps.progress.note(
            "the classes have no names, labels.txt numbers them", Advice("pass {}", "labels")
        )


def _refused(
    options: BundleOptions, sizes: SizeGate, checks: tuple[AnswerCheck, ...], steps: Steps
) -> BundleReport:
    return BundleReport(
        str(options.output),
        None,
        sizes,
        checks,
        0,
        None,
        None,
        is_signed=False,
        seconds=steps.seconds,
        peak_rss_bytes=peak_rss_bytes(),
    )
