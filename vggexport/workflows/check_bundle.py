"""Does a bundle agree with its list and signature, and answer here as it did there?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from calibration.decoding import decode
from vggexport.artifact import SNAPDRAGON, Artifact
from vggexport.bundles import GOLDEN, PREPROCESSING
from vggexport.bundles.answers import GoldenAnswers, GoldenSource
from vggexport.bundles.files import (
    BundleFiles,
    CheckedFiles,
    open_bundle,
    read_manifest,
    read_object,
    unpack,
    unpack_model,
)
from vggexport.bundles.golden_run import answer
from vggexport.bundles.integrity import check_integrity
from vggexport.bundles.png import read_png
from vggexport.bundles.preprocessing import Preprocessing
from vggexport.bundles.tolerances import ACCELERATOR, CPU, tolerance_on
from vggexport.errors import Advice, ArtifactError, InputError
from vggexport.formats.registry import FORMATS
from vggexport.metrics.parity import compare
from vggexport.metrics.placement import CPU_PROVIDER, QNN_PROVIDER
from vggexport.network.spec import size_text
from vggexport.opening.run_options import RunOptions
from vggexport.results.bundle import AnswerCheck, BundleCheckReport, Integrity, PreprocessingCheck
from vggexport.results.bundle_manifest import BundledArtifact, Manifest
from vggexport.system.options import takes
from vggexport.system.output_files import temporary_folder
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.system.typed_options import TypedOptions


@dataclass(frozen=True, slots=True)
class BundleCheckOptions(TypedOptions):
    """What is checked, and how far.

    Attributes:
        bundle: An archive or a folder.
        public_key: Whose signature is demanded, or None.
        formats: Formats of the models that are run, or nothing for all.
        run: Run the models.
        threads: Threads of each runtime; 0 where the runtime chooses.
        provider: ONNX Runtime's execution provider, on which the models that it takes are run and
            held to the tolerance of accelerators; None for the CPU, and all models.
    """

    bundle: Path
    public_key: Path | None = None
    formats: tuple[str, ...] = ()
    run: bool = True
    threads: int = 0
    provider: str | None = None


@takes(BundleCheckOptions)
def check_bundle(
    options: BundleCheckOptions, progress: Progress | None = None
) -> BundleCheckReport:
    """Checks digests and signature, and then runs every model on the golden images.

    Nothing is run, and nothing is written, of a bundle that is not as its list of digests says.

    Args:
        options: What is checked, and how far.
        progress: Who shows how far it is.

    Returns:
        A report; what is wrong is in its ``failures``.

    Raises:
        ArtifactError: It is no bundle, or not safe to look into.
        InputError: The key cannot be used, or no model is of the formats asked for.
        Unavailable: A runtime is not installed, or the execution provider not to be had.
    """
    steps = Steps(progress or Progress())
    with steps.step("digests"):
        files = open_bundle(options.bundle)
        integrity = check_integrity(files, options.public_key, steps.progress.advance)
    if integrity.problems:
        return _report(options, integrity, None, steps)
    if integrity.is_signed and not integrity.is_verified:
        by_whom = Advice("pass {} to check by whom", "public_key")
        steps.progress.note("the bundle is signed", by_whom)
    checked = CheckedFiles(files, integrity.digests)
    manifest = read_manifest(checked)
    if not options.run:
        return _report(options, integrity, manifest, steps)
    chosen = _chosen(manifest, options)
    run = RunOptions(options.threads, options.provider)
    spec = chosen[0].artifact.spec
    golden = GoldenAnswers.of_bundle(read_object(checked, GOLDEN), spec.classes)
    if problems := golden.misnamed(manifest.class_names):
        return _report(options, replace(integrity, problems=problems), None, steps)
    described = _described_preprocessing(checked, spec.input_size)
    with steps.step("preprocessing"), temporary_folder() as folder:
        preprocessing = _check_preprocessing(checked, golden, described, folder)
    with steps.step("run"), temporary_folder() as folder:
        height, width = spec.input_size
        every = (*golden.images, *golden.pictures)
        places = [unpack(checked, image.file, folder) for image in every]
        images = np.stack([read_png(place, size=(width, height)) for place in places])
        checks = tuple(
            _check(checked, bundled, golden, images, run)
            for bundled in steps.track(chosen, len(chosen))
        )
    return replace(
        _report(options, integrity, manifest, steps),
        preprocessing=preprocessing,
        images=len(golden.images),
        answers=checks,
    )


def _described_preprocessing(files: BundleFiles, size: tuple[int, int]) -> Preprocessing:
    described = Preprocessing.from_json(read_object(files, PREPROCESSING))
    if described.size != size:
        raise ArtifactError(
            f"{files.path}: its preprocessing is for images of {size_text(described.size)} pixels, "
            "its models "
            f"take {size_text(size)}: get it again"
        )
    return described


def _check_preprocessing(
    files: BundleFiles, golden: GoldenAnswers, described: Preprocessing, folder: Path
) -> PreprocessingCheck:
    """Prepares the golden images anew, and looks how far that is from what was packed."""
    largest, phones = 0, []
    for pair in golden.sources:
        file = unpack(files, pair.file, folder)
        actual = described.apply(_decoded(file, pair, described.pictures))
        place = unpack(files, pair.prepared, folder)
        height, width = described.size
        expected = read_png(place, size=(width, height))
        difference = np.abs(actual.astype(np.int16) - expected.astype(np.int16))
        levels = int(difference.max())
        if pair.tolerance_levels is None:
            largest = max(largest, levels)
        else:
            phones.append((levels, pair.tolerance_levels))
    worst = max(phones, key=lambda pair: pair[0] - pair[1], default=(0, described.max_levels))
    return PreprocessingCheck(len(golden.sources), largest, described.max_levels, *worst)


def _decoded(
    file: Path, pair: GoldenSource, pictures: calibration.PictureOptions
) -> NDArray[np.uint8]:
    """A picture's pixels; those with a tolerance of their own are of any kind."""
    if pair.tolerance_levels is None:
        return read_png(file)
    try:
        return np.asarray(decode(file, pictures))
    except calibration.UnreadableImageError as error:
        raise ArtifactError(
            f"{pair.file} cannot be decoded: {error}: get the bundle again"
        ) from error


def _check(
    files: BundleFiles,
    bundled: BundledArtifact,
    golden: GoldenAnswers,
    images: NDArray[np.uint8],
    run: RunOptions,
) -> AnswerCheck:
    """Unpacks a model, runs it, and lets go of it before the next."""
    expected = golden.of(bundled.artifact.path)
    with temporary_folder() as folder:
        path = unpack_model(files, bundled, folder)
        own, pictures = np.split(images, [len(golden.images)])
        given = answer(bundled.artifact, path, own, pictures, run)
    device = CPU if run.provider in {None, CPU_PROVIDER} else ACCELERATOR
    activation = bundled.artifact.spec.head_activation
    of_pictures = None
    if expected.picture_probabilities is not None and given.picture_probabilities is not None:
        of_pictures = compare(
            expected.picture_probabilities, given.picture_probabilities, activation
        )
    return AnswerCheck(
        bundled.artifact.path,
        bundled.artifact.format,
        bundled.artifact.precision.value,
        given.runtime,
        given.provider,
        compare(expected.probabilities, given.probabilities, activation),
        tolerance_on(expected.tolerances, device),
        processor=given.processor,
        recorded_on=expected.processor,
        picture_metrics=of_pictures,
        labels=bundled.artifact.labels,
    )


def _chosen(manifest: Manifest, options: BundleCheckOptions) -> list[BundledArtifact]:
    formats, provider = options.formats, options.provider
    chosen = [b for b in manifest.artifacts if not formats or b.artifact.format in formats]
    if not chosen:
        held = ", ".join(dict.fromkeys(b.artifact.format for b in manifest.artifacts))
        choose = Advice("choose with {}", "formats")
        raise InputError(f"the bundle holds models in {held or 'no format'}", choose)
    chosen = [b for b in chosen if provider is None or _runs_on(provider, b.artifact)]
    if not chosen:
        raise InputError(
            f"{provider} takes none of these models", Advice("leave out {}", "provider")
        )
    return chosen


def _runs_on(provider: str, artifact: Artifact) -> bool:
    """Whether an execution provider takes a model: Qualcomm's one that is laid out for it."""
    has_providers = FORMATS[artifact.format].runtime().has_providers
    return has_providers and (provider != QNN_PROVIDER or artifact.target == SNAPDRAGON)


def _report(
    options: BundleCheckOptions, integrity: Integrity, manifest: Manifest | None, steps: Steps
) -> BundleCheckReport:
    """Of a bundle of which nothing was run."""
    return BundleCheckReport(
        str(options.bundle), integrity, manifest, None, 0, (), steps.seconds, peak_rss_bytes()
    )
