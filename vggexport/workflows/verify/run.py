"""Parity: any mix of files and the Keras network on the same images, held to one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.artifact import Artifact
from vggexport.errors import Advice, InputError
from vggexport.formats.golden.golden_file import GoldenFile, GoldenImages, GoldenWriter
from vggexport.formats.golden.owner_answers import read_answers
from vggexport.formats.registry import command_for
from vggexport.network.layers import OUTPUT_NAME
from vggexport.network.pictures import Pictures
from vggexport.network.preprocessing import Preprocessing
from vggexport.opening import same_network
from vggexport.opening.calibration_images import note_few, note_left_out, translated
from vggexport.opening.foreign import TRIED_IMAGES, find_preprocessing, note_misstated
from vggexport.opening.labelled_images import note_contents
from vggexport.opening.models import OpenedModel, open_golden, open_models
from vggexport.opening.pictures import AgreedPictures, agreed_pictures
from vggexport.opening.recorded_weights import is_stated_alone
from vggexport.opening.seen_images import note_seen
from vggexport.results.verify import VerifyReport
from vggexport.system.number_text import counted
from vggexport.system.options import takes
from vggexport.system.output_files import output_folder, publish
from vggexport.system.process import package_versions, peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.verify.comparison import Comparison
from vggexport.workflows.verify.options import DEFAULT_IMAGES, FEW_ANSWERS, VerifyOptions


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
    given = _open_data(options)  # before a network is loaded: a wrong path is told at once
    with ExitStack() as entered:
        models = open_models(entered, options.sources, options.run, steps)
        recorded = _recorded(options, models[0].artifact)
        if recorded:
            models.insert(0, open_golden(entered, recorded))
        first = models[0].artifact
        _check_models(models, recorded, options, steps)
        pixels = _pixels(options, first)
        is_stated = pixels is not None and _is_stated_alone(models)
        agreed = _agreed_pictures(options, models)
        pictures = agreed.pictures if agreed else first.pictures
        source = GoldenImages(recorded) if recorded else given
        source = calibration.sized(source, first.spec.input_size, pictures)
        images = _choose_images(options, source)
        contents = note_contents(images.source, steps)
        _note_images(models, images, options, steps)
        with translated():
            reference, *candidates = find_preprocessing(models, partial(_first, images), steps)
        compared = Comparison(reference, candidates, options, clock)
        record = _recording(options, reference, pictures, len(images))
        with steps.step("verify"), translated(), record as write:
            for chunk in _chunks(steps.track(iter(images), len(images)), compared.chunk):
                write(chunk, compared.add(chunk)[OUTPUT_NAME])
        fingerprint = images.fingerprint  # of what was run: a diagnosis reads some once more
        unreadable = note_left_out(images, steps)
        reports = tuple(compared.report(candidate, steps) for candidate in candidates)
        for candidate, told in zip(candidates, reports, strict=True):
            if options.diagnose and told.failures:
                note_misstated(reference, candidate, _first(images), steps)
    report = VerifyReport(
        compared.record(reference),
        compared.images,
        images.source.name,
        reports,
        steps.seconds,
        peak_rss_bytes(),
        package_versions(),
        compared.reference_seen,
        contents,
        fingerprint,
        pixels,
        unreadable,
        agreed.pictures if agreed else None,
        agreed.line if agreed else "",
        is_stated,
    )
    _note_seen(report, steps)
    return report


def _recorded(options: VerifyOptions, known: Artifact) -> GoldenFile | None:
    """The reference where its answers are recorded."""
    if options.answers:
        return read_answers(options.answers, known)
    return GoldenFile.read(options.golden) if options.golden else None


def _check_models(
    models: Sequence[OpenedModel],
    recorded: GoldenFile | None,
    options: VerifyOptions,
    steps: Steps,
) -> None:
    """Refuses models of another network than the first's, and says of what weights others are."""
    first = models[0].artifact
    for other in models[1:]:
        narrowed = same_network.pruning_between(first, other.artifact)
        ignored = same_network.NARROWED if narrowed else ("weights",)
        if options.answers:  # they say nothing of what a file does to pixels
            ignored = (*ignored, "mean_rgb")
        same_network.check_same(first, other.artifact, ignoring=ignored)
        if not (narrowed or options.answers):
            same_network.note_other_weights(first, other.artifact, steps)
        if recorded:
            recorded.check_pixels(other.artifact)
    same_network.check_same_labels(model.artifact for model in models)


def _pixels(options: VerifyOptions, reference: Artifact) -> Preprocessing | None:
    """What happens to pixels before the reference's network, as far as the files say."""
    pixels = None if options.answers or reference.foreign else reference.preprocessing
    if options.strict and pixels and not pixels.known:
        raise InputError(
            f"{reference.path} assumes {pixels.words} for pixels, and a comparison with files that "
            "do so, too, does not tell whether that is right",
            Advice("compare with the network's own answers, with {}", "answers"),
            Advice(
                "export it again and state it with {}",
                "preprocessing",
                command=command_for(reference.format),
            ),
        )
    return pixels


def _is_stated_alone(models: Sequence[OpenedModel]) -> bool:
    """Whether the reference takes pixels as a file held to it records what was stated."""
    reference, *files = models
    return reference.network is not None and is_stated_alone(
        reference.network, reference.path, [file.artifact for file in files]
    )


def _agreed_pictures(
    options: VerifyOptions, models: Sequence[OpenedModel]
) -> AgreedPictures | None:
    """What all want, where pictures of a folder or an array become pixels."""
    if options.golden or options.answers or options.data == calibration.SYNTHETIC:
        return None
    return agreed_pictures([model.artifact for model in models], options.pictures)


def _open_data(options: VerifyOptions) -> calibration.ImageSource:
    """The images, of any size as yet."""
    with translated():
        return calibration.open_source(
            options.data, size=1, seed=options.seed, samples=options.count
        )


def _choose_images(
    options: VerifyOptions, source: calibration.ImageSource
) -> calibration.CalibrationImages:
    with translated():
        count = min(options.count, len(source))
        return calibration.CalibrationImages(
            source,
            count,
            seed=options.seed,
            max_unreadable_fraction=options.max_unreadable,
            fewer=options.save_golden is None,  # a golden file states their number before the first
        )


@contextmanager
def _recording(
    options: VerifyOptions, reference: OpenedModel, pictures: Pictures, count: int
) -> Iterator[Callable[[Sequence[calibration.SourceImage], NDArray[np.float32]], None]]:
    """What takes images and the reference's answers, for a golden file if one is to be saved."""
    place = options.save_golden
    if place is None:
        yield lambda _images, _answers: None
        return
    with output_folder(place, force=options.force) as folder:
        with GoldenWriter(
            folder / place.name,
            replace(reference.artifact, pictures=pictures),
            runtime=reference.runner.runtime,
            provider=reference.runner.provider,
            count=count,
        ) as writer:
            yield writer.add
        publish(folder, place)


def _first(images: calibration.CalibrationImages) -> NDArray[np.uint8]:
    return np.stack([image.pixels for image in islice(images, TRIED_IMAGES)])


def _chunks(
    images: Iterator[calibration.SourceImage], size: int
) -> Iterator[Sequence[calibration.SourceImage]]:
    while chunk := tuple(islice(images, size)):
        yield chunk


def _note_images(
    models: Sequence[OpenedModel],
    images: calibration.CalibrationImages,
    options: VerifyOptions,
    steps: Steps,
) -> None:
    """Says what the images, and those that models were calibrated on, cannot tell."""
    _note_synthetic(models[0].artifact, images, steps)
    for model in models:
        note_few(model.artifact.calibration, steps, of=model.path)
    _note_few(options, images, steps)


def _note_synthetic(known: Artifact, images: calibration.CalibrationImages, steps: Steps) -> None:
    """Says so where trained weights are compared on images that the tool made."""
    if known.weights.trained and images.source.name == calibration.SYNTHETIC:
        steps.progress.note(
            "synthetic images say little about trained weights",
            Advice("compare on your own with {} DIR", "data"),
        )


def _note_few(options: VerifyOptions, images: calibration.CalibrationImages, steps: Steps) -> None:
    """Says that fewer were taken unasked than there are, or that an owner gave few answers."""
    taken = len(images)
    if options.answers and taken < FEW_ANSWERS:
        steps.progress.note(
            f"{counted(taken, 'answer')} only: a mistake that changes few images is not seen; "
            f"save those to {FEW_ANSWERS} images or more"
        )
    if options.images is None and taken < min(DEFAULT_IMAGES, len(images.source)):
        steps.progress.note(
            f"{taken} images on {options.run.provider}, whose emulator takes a minute for one",
            Advice("ask for more with {}", "images"),
        )


def _note_seen(report: VerifyReport, steps: Steps) -> None:
    candidates = [(candidate.runner, candidate.seen) for candidate in report.candidates]
    for runner, seen in ((report.reference, report.reference_seen), *candidates):
        note_seen(runner.path, seen, steps)
