"""The hand-off package: what may be shipped, put together with what it takes to check it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import numpy as np

import calibration
from vggexport import registry
from vggexport.artifact import Artifact
from vggexport.bundle import (
    CHECKSUMS,
    GOLDEN,
    LABELS,
    MANIFEST,
    MODEL_CARD,
    PREPROCESSING,
    README,
    REPORTS,
    SIGNATURE,
    SIGNING,
)
from vggexport.bundle.answers import GivenAnswers, GoldenAnswers, GoldenInput, GoldenSource
from vggexport.bundle.archive import FIRST_MOMENT, write_archive
from vggexport.bundle.checksums import measure_path, render_checksums
from vggexport.bundle.evidence import Evidence
from vggexport.bundle.folder import write_folder
from vggexport.bundle.layouts import LAYOUTS, PLAIN
from vggexport.bundle.layouts.interface import PlacedModel
from vggexport.bundle.manifest import Manifest
from vggexport.bundle.png import encode_png
from vggexport.bundle.preprocessing import Preprocessing
from vggexport.bundle.sizes import FileSize
from vggexport.bundle.static import static_files
from vggexport.environment import package_versions, peak_rss_bytes
from vggexport.errors import InputError
from vggexport.output import output_folder, publish, write_json
from vggexport.parity import compare
from vggexport.progress import Progress, Silent, Steps
from vggexport.reports.bundles import AnswerCheck, BundleReport, SizeGate
from vggexport.reports.markdown.handoff import guide, model_card
from vggexport.workflows.bundle_answers import REPEATABLE_THREADS, answer
from vggexport.workflows.checking import TOLERANCES, tolerance_between
from vggexport.workflows.golden_images import ChosenImages, choose_images, recorded_images
from vggexport.workflows.shipping import (
    Model,
    check_evidence,
    check_shippable,
    chosen_labels,
    read_evidence,
    read_model,
)

DEFAULT_IMAGES = 8
ARCHIVE_SUFFIX = ".zip"
DATE_VARIABLE = "SOURCE_DATE_EPOCH"
"""https://reproducible-builds.org/specs/source-date-epoch/"""

_SOURCE_SHAPES = {"landscape": (1.7, 2.45), "portrait": (2.1, 1.35), "small": (0.6, 0.8)}
"""Height and width of the images that show the preprocessing, in input sizes: scaled down by odd
factors either way, and scaled up."""


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

    artifacts: tuple[Path, ...]
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
            raise InputError(f"golden file {self.golden} brings the images: leave out --data")


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
    steps = Steps(progress or Silent())
    moment = _moment()
    with _output(options) as folder:
        with steps.step("read"):
            evidence = read_evidence(options.reports)
            models = [read_model(path) for path in options.artifacts]
            check_shippable(models, allow_untrained=options.allow_untrained)
            check_evidence(models, evidence)
        sizes = SizeGate(tuple(FileSize.of(m.artifact) for m in models), options.max_bytes)
        against = tuple(failure for report in evidence for failure in report.failures)
        if against or sizes.failures:
            return replace(_refused(options, sizes, (), steps), evidence=against)
        _note(models, options, steps)
        job = _Packing(options, models, evidence, folder, moment, steps)
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
        steps: Who counts the seconds.
    """

    def __init__(
        self,
        options: BundleOptions,
        models: Sequence[Model],
        evidence: Sequence[Evidence],
        folder: Path,
        moment: int,
        steps: Steps,
    ) -> None:
        self._options = options
        self._models = models
        self._evidence = evidence
        self._folder = folder
        self._moment = moment
        self._steps = steps
        self._scratch = folder / "parts"
        self._scratch.mkdir()
        self._files: dict[str, Path] = {}
        with steps.step("lay out"):
            self._placed = [self._place(number, m) for number, m in enumerate(models)]
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
        finest = min(range(len(given)), key=lambda i: _coarseness(self._placed[i].artifact))
        reference = golden.answers or replace(given[finest], tolerances=())
        artifact = golden.artifact or self._placed[finest].artifact
        self._write_golden(golden, reference, given)
        return tuple(
            _check(p.artifact, mine, artifact, reference)
            for p, mine in zip(self._placed, given, strict=True)
        )

    def pack(self, sizes: SizeGate, checks: tuple[AnswerCheck, ...]) -> BundleReport:
        """Writes everything that is left, and publishes the bundle."""
        with self._steps.step("pack"):
            manifest = self._manifest()
            self._write_texts(manifest, checks)
            for placed in self._placed:
                self._files |= placed.files
            target = self._folder / self._options.output.name
            digest = self._write(target)
            publish(self._folder, self._options.output)
        return BundleReport(
            str(self._options.output),
            manifest,
            sizes,
            checks,
            len(self._files),
            _size(self._options.output),
            digest,
            self._options.sign is not None,
            self._steps.seconds,
            peak_rss_bytes(),
        )

    def _choose_images(self) -> ChosenImages:
        options, artifact = self._options, self._models[0].artifact
        if options.golden:
            return recorded_images(options.golden, options.images, artifact)
        return choose_images(options.data, options.images, options.seed, artifact.spec.input_size)

    def _place(self, number: int, model: Model) -> PlacedModel:
        folder = self._scratch / f"layout{number}"
        folder.mkdir()
        place = registry.load(LAYOUTS, self._options.layout)
        placed: PlacedModel = place(model.artifact, model.path, folder)
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
            tuple(f"{REPORTS}/{evidence.path.name}" for evidence in self._evidence),
        )

    def _write_texts(self, manifest: Manifest, checks: Sequence[AnswerCheck]) -> None:
        for name, data in static_files().items():
            self._add(name, data)
        names = self._labels or tuple(map(str, range(self._models[0].artifact.spec.classes)))
        self._add(LABELS, "".join(f"{name}\n" for name in names).encode())
        for evidence in self._evidence:
            self._files[f"{REPORTS}/{evidence.path.name}"] = evidence.path
        self._add_json(PREPROCESSING, self._preprocessing.to_json(self._ends()))
        self._add_json(MANIFEST, manifest.to_json())
        self._add(MODEL_CARD, model_card(manifest, self._evidence, checks).encode())
        text = guide(manifest, is_signed=self._options.sign is not None)
        self._add(README, text.encode())

    def _write_golden(
        self, golden: ChosenImages, reference: GivenAnswers, given: Sequence[GivenAnswers]
    ) -> None:
        inputs = []
        for number, (label, pixels) in enumerate(zip(golden.labels, golden.pixels, strict=True)):
            inputs.append(GoldenInput(f"golden/inputs/{number:03}.png", label))
            self._add(inputs[-1].file, encode_png(pixels))
        answers = GoldenAnswers(
            golden.source, tuple(inputs), tuple(self._write_sources()), reference, tuple(given)
        )
        self._add_json(GOLDEN, answers.to_json())

    def _write_sources(self) -> Iterator[GoldenSource]:
        """Images of other sizes, and what the preprocessing makes of them."""
        size = self._preprocessing.size
        for number, (name, (height, width)) in enumerate(_SOURCE_SHAPES.items()):
            rows, columns = round(height * size), round(width * size)
            square = calibration.synthetic_image(0, number, max(rows, columns))
            pixels = np.ascontiguousarray(square[:rows, :columns])
            pair = GoldenSource(f"golden/sources/{name}.png", f"golden/sources/{name}_prepared.png")
            self._add(pair.file, encode_png(pixels))
            self._add(pair.prepared, encode_png(self._preprocessing.apply(pixels)))
            yield pair

    @property
    def _preprocessing(self) -> Preprocessing:
        return Preprocessing.for_size(self._models[0].artifact.spec.input_size)

    def _ends(self) -> dict[str, object]:
        return {
            placed.artifact.path: {
                "input": {**model.input.to_json(), "layout": "NHWC", "colour_order": "RGB"},
                "output": model.output.to_json(),
            }
            for placed, model in zip(self._placed, self._models, strict=True)
        }

    def _add(self, name: str, data: bytes) -> None:
        place = self._scratch / "files" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        self._files[name] = place

    def _add_json(self, name: str, data: Mapping[str, object]) -> None:
        self._add(name, b"")
        write_json(self._files[name], data)

    def _write(self, target: Path) -> str:
        """Digests, signature, and the archive or folder; the digest of the whole."""
        digests = {name: measure_path(path) for name, path in self._files.items()}
        listing = render_checksums({name: d.sha256 for name, d in digests.items()}).encode()
        self._add(CHECKSUMS, listing)
        if self._options.sign:
            self._add(SIGNATURE, registry.load(SIGNING, "sign")(listing, self._options.sign))
        if not _is_archive(self._options.output):
            write_folder(self._files, target)
            return measure_path(self._files[CHECKSUMS]).sha256
        for name in self._files.keys() - digests:
            digests[name] = measure_path(self._files[name])
        write_archive(self._files, digests, target, moment=self._moment)
        return measure_path(target).sha256


@contextmanager
def _output(options: BundleOptions) -> Iterator[Path]:
    marker = None if _is_archive(options.output) else MANIFEST
    with output_folder(options.output, force=options.force, directory_marker=marker) as folder:
        yield folder


def _is_archive(output: Path) -> bool:
    return output.suffix == ARCHIVE_SUFFIX


def _size(path: Path) -> int:
    parts = path.rglob("*") if path.is_dir() else (path,)
    return sum(part.stat().st_size for part in parts if part.is_file())


def _moment() -> int:
    """Date of all files: what the environment says, or the first that an archive can have."""
    text = os.environ.get(DATE_VARIABLE, "")
    if text and not text.isdecimal():
        raise InputError(f"{DATE_VARIABLE} {text!r} is not a number of seconds since 1970")
    return int(text or FIRST_MOMENT)


def _coarseness(artifact: Artifact) -> tuple[bool, int]:
    return artifact.full_integer, list(TOLERANCES).index(artifact.precision)


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
        steps.progress.note("the licence of the weights is not stated: pass --licence")
    if not (options.labels or models[0].artifact.labels):
        steps.progress.note("the classes have no names, labels.txt numbers them: pass --labels")


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
