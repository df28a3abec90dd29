"""Is a bundle what was packed, and does it give here the answers that it gave there?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.bundles import GOLDEN, PREPROCESSING
from vggexport.bundles.answers import GoldenAnswers
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
from vggexport.bundles.preprocessing import MAX_LEVELS, Preprocessing
from vggexport.bundles.tolerances import CPU, tolerance_on
from vggexport.errors import Advice, ArtifactError, InputError
from vggexport.metrics.parity import compare
from vggexport.results.bundle import AnswerCheck, BundleCheckReport, Integrity, PreprocessingCheck
from vggexport.results.bundle_manifest import BundledArtifact, Manifest
from vggexport.system.options import takes
from vggexport.system.output_files import temporary_folder
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps


@dataclass(frozen=True, slots=True)
class BundleCheckOptions:
    """What is checked, and how far.

    Attributes:
        bundle: An archive or a folder.
        public_key: Whose signature is demanded, or None.
        formats: Formats of the models that are run, or nothing for all.
        run: Run the models.
        threads: Threads of each runtime; 0 where the runtime chooses.
    """

    bundle: Path
    public_key: Path | None = None
    formats: tuple[str, ...] = ()
    run: bool = True
    threads: int = 0


@takes(BundleCheckOptions)
def check_bundle(
    options: BundleCheckOptions, progress: Progress | None = None
) -> BundleCheckReport:
    """Checks digests and signature, and then runs every model on the golden images.

    Nothing is run, and nothing is written, of a bundle that is not what was packed.

    Args:
        options: What is checked, and how far.
        progress: Who shows how far it is.

    Returns:
        A report; what is wrong is in its ``failures``.

    Raises:
        ArtifactError: It is no bundle, or not safe to look into.
        InputError: The key cannot be used, or no model is of the formats asked for.
        Unavailable: A runtime is not installed.
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
    return _Run(options, checked, manifest, steps).report(integrity)


class _Run:
    """The models of a bundle on its golden images.

    Args:
        options: What is checked, and how far.
        files: The bundle's, known to be what was packed.
        manifest: What is in it.
        steps: Who counts the seconds.
    """

    def __init__(
        self, options: BundleCheckOptions, files: BundleFiles, manifest: Manifest, steps: Steps
    ) -> None:
        self._options = options
        self._files = files
        self._manifest = manifest
        self._steps = steps
        self._chosen = _chosen(manifest, options.formats)
        spec = self._chosen[0].artifact.spec
        self._golden = GoldenAnswers.of_bundle(read_object(files, GOLDEN), spec.classes)
        self._preprocessing = Preprocessing.from_json(read_object(files, PREPROCESSING))
        if self._preprocessing.size != spec.input_size:
            raise ArtifactError(
                f"{files.path}: its preprocessing is for images of {self._preprocessing.size} "
                f"pixels, its models take {spec.input_size}: get it anew"
            )

    def report(self, integrity: Integrity) -> BundleCheckReport:
        """Runs everything."""
        with self._steps.step("preprocessing"), temporary_folder() as folder:
            preprocessing = self._check_preprocessing(folder)
        with self._steps.step("run"), temporary_folder() as folder:
            images = np.stack([self._input(image.file, folder) for image in self._golden.images])
            chosen = self._steps.track(iter(self._chosen), len(self._chosen))
            checks = tuple(self._check(bundled, images) for bundled in chosen)
        return BundleCheckReport(
            str(self._options.bundle),
            integrity,
            self._manifest,
            preprocessing,
            len(images),
            checks,
            self._steps.seconds,
            peak_rss_bytes(),
        )

    def _check_preprocessing(self, folder: Path) -> PreprocessingCheck:
        largest = 0
        for pair in self._golden.sources:
            source = read_png(unpack(self._files, pair.file, folder))
            expected = self._input(pair.prepared, folder)
            actual = self._preprocessing.apply(source)
            difference = np.abs(actual.astype(np.int16) - expected.astype(np.int16))
            largest = max(largest, int(difference.max()))
        return PreprocessingCheck(len(self._golden.sources), largest, MAX_LEVELS)

    def _input(self, name: str, folder: Path) -> NDArray[np.uint8]:
        size = self._preprocessing.size
        path = unpack(self._files, name, folder)
        return read_png(path, size=(size, size))

    def _check(self, bundled: BundledArtifact, images: NDArray[np.uint8]) -> AnswerCheck:
        """Unpacks a model, runs it, and lets go of it before the next."""
        expected = self._golden.of(bundled.artifact.path)
        with temporary_folder() as folder:
            path = unpack_model(self._files, bundled, folder)
            given = answer(bundled.artifact, path, images, threads=self._options.threads)
        return AnswerCheck(
            bundled.artifact.path,
            bundled.artifact.format,
            bundled.artifact.precision.value,
            given.runtime,
            given.provider,
            compare(expected.probabilities, given.probabilities),
            tolerance_on(expected.tolerances, CPU),
        )


def _chosen(manifest: Manifest, formats: tuple[str, ...]) -> list[BundledArtifact]:
    chosen = [b for b in manifest.artifacts if not formats or b.artifact.format in formats]
    if not chosen:
        held = ", ".join(dict.fromkeys(b.artifact.format for b in manifest.artifacts))
        choose = Advice("choose with {}", "formats")
        raise InputError(f"the bundle holds models in {held or 'no format'}", choose)
    return chosen


def _report(
    options: BundleCheckOptions, integrity: Integrity, manifest: Manifest | None, steps: Steps
) -> BundleCheckReport:
    """Of a bundle of which nothing was run."""
    return BundleCheckReport(
        str(options.bundle),
        integrity,
        manifest,
        None,
        0,
        (),
        steps.seconds,
        peak_rss_bytes(),
    )
