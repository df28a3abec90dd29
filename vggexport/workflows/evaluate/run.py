"""Accuracy: any mix of files and the Keras network on labelled images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import calibration
from vggexport.artifact import Artifact
from vggexport.errors import Advice, InputError
from vggexport.metrics.accuracy import Accuracy, PairedCounts
from vggexport.metrics.assignment import find_other_order
from vggexport.network.head import HeadActivation
from vggexport.network.pictures import PictureRequest, Pictures
from vggexport.opening.calibration_images import translated
from vggexport.opening.conventions import note_favoured, open_under_conventions
from vggexport.opening.foreign import TRIED_IMAGES, find_preprocessing
from vggexport.opening.labelled_images import (
    check_readable,
    note_contents,
    note_contradictions,
    some_images,
)
from vggexport.opening.labels import check_labels
from vggexport.opening.models import OpenedModel, open_models
from vggexport.opening.pictures import agreed_pictures
from vggexport.opening.run_options import RunOptions
from vggexport.opening.same_network import check_same, check_same_labels
from vggexport.opening.seen_images import note_seen
from vggexport.results.evaluate import Comparison, EvaluationReport, EvaluationResult
from vggexport.system import lazy_imports
from vggexport.system.options import takes
from vggexport.system.process import package_versions, peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.system.typed_options import Positive, Share, Sources, TypedOptions
from vggexport.workflows.evaluate.class_order import CLASS_ORDER, note_absent, order_classes
from vggexport.workflows.evaluate.gate import checks
from vggexport.workflows.evaluate.mistakes import surest_mistakes
from vggexport.workflows.evaluate.other_pixels import other_export, with_pixels
from vggexport.workflows.evaluate.predictions import ENGINES, Answered, Engine, EngineOptions

COMPARABLE = {"input_size", "classes", "head_activation", "labels"}
"""What networks have in common that answer the same question; their layers may differ."""


@dataclass(frozen=True, slots=True)
class EvaluateOptions(TypedOptions):
    """What is evaluated, on which images.

    Attributes:
        artifacts: Paths of ``.onnx`` and ``.tflite`` files, of SavedModel directories, and sources
            of weights, which stand for the Keras network. The others are compared with the first.
        data: A folder of folders, one a class.
        table: CSV file with the columns ``image`` and ``label``, instead of folders named by class.
        labels: Names of the networks' classes, one a line, instead of those that they carry.
        class_order: What folders stand for: one of :data:`.class_order.ORDERS`.
        images: Number of images, chosen by ``seed``; None for all.
        seed: Of that choice.
        run: How they run.
        min_top1: Smallest share of images that must be right.
        max_drop: Largest share by which a network may be right less often than the first.
        pictures: How pictures become pixels, where the networks do not record it.
        max_unreadable: Share of the images that may be unreadable.
        strict: Refuse images that a network was calibrated on, and take a gate that is
            inconclusive, classes that seem to be in another order, or a class that the first
            network gives and another never, for a failure.
        try_preprocessing: Run weights, or a file of another converter, under each convention for
            pixels, to see which one the labels speak for.
        engine: What spreads the work; how networks run, and ``strict``, come from here.
    """

    artifacts: Sources
    data: Path
    table: Path | None = None
    labels: Path | None = None
    class_order: str = "auto"
    images: Positive | None = None
    seed: int = 0
    run: RunOptions = field(default_factory=RunOptions)
    min_top1: Share | None = None
    max_drop: Share | None = None
    pictures: PictureRequest = field(default_factory=PictureRequest)
    max_unreadable: Share = calibration.sampling.MAX_UNREADABLE_FRACTION
    strict: bool = False
    try_preprocessing: bool = False
    engine: EngineOptions = field(default_factory=EngineOptions)

    def __post_init__(self) -> None:
        TypedOptions.__post_init__(self)
        if self.try_preprocessing and (len(set(self.artifacts)) > 1 or self.engine.name != "local"):
            raise InputError(
                "conventions for pixels are tried on one source of weights, or one file of another "
                "converter, locally"
            )
        if self.try_preprocessing and self.run.preprocessing_of:
            raise InputError(
                "what is stated of pixels need not be tried",
                Advice("leave out {} or {}", "preprocessing_of", "try_preprocessing"),
            )
        if self.max_drop is not None and len(set(self.artifacts)) < len(("first", "second")):
            one_twice = "both names are of one file; " if len(self.artifacts) > 1 else ""
            raise InputError(
                f"a limit of {self.max_drop:.2%} on the drop needs a network to drop from: "
                f"{one_twice}name two, the first being what the others are compared with"
            )


@takes(EvaluateOptions)
def evaluate(
    options: EvaluateOptions,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> EvaluationReport:
    """Runs all on the same labelled images and counts what each gets right.

    Args:
        options: What is evaluated.
        progress: Who shows how far it is.
        clock: Gives seconds; injected by tests.

    Raises:
        ArtifactError: A network cannot be read, or two have other classes or another input.
        CalibrationError: The images cannot be used, or ``strict`` refuses one.
        InputError: Labels cannot be matched.
        Unavailable: A runtime or execution provider is not to be had.
    """
    steps = Steps(progress or Progress(), clock=clock)
    engine = _engine(options, clock)
    given = _open_data(options)  # before a network is loaded: a wrong path is told at once
    with ExitStack() as entered:
        models = _open_models(entered, options, steps)
        _check_comparable(models)
        agreed = agreed_pictures([model.artifact for model in models], options.pictures)
        images = _order_images(given, options, models, agreed.pictures, steps)
        contents = note_contents(images.source, steps)
        models = find_preprocessing(
            models,
            lambda: some_images(images, TRIED_IMAGES, seed=options.seed)[0],
            steps,
            must_fit=True,
        )
        with steps.step("evaluate"), translated():
            answered = engine.answer(models, images, steps)
        check_readable(images, answered.unreadable, steps, options.max_unreadable)
        read = np.flatnonzero(answered.readable)
        note_contradictions(images.chosen(read), answered.digests[read], steps)
        results = tuple(_results(models, images, answered))
        if options.try_preprocessing:  # of which none is what the others are held to
            results = tuple(replace(result, comparison=None) for result in results)
        else:
            results = with_pixels(results, models, images, steps, seed=options.seed)
    report = EvaluationReport(
        results,
        images.source.name,
        int(answered.readable.sum()),
        tuple(answered.unreadable),
        tuple(checks(results, options.min_top1, options.max_drop)),
        options.strict,
        engine.name,
        steps.seconds,
        peak_rss_bytes(),
        package_versions(),
        contents,
        agreed.pictures,
        agreed.line,
        answered.fingerprint(images),
    )
    _note(report, [model.artifact for model in models], steps)
    if options.try_preprocessing:
        note_favoured(report.results, steps)
    return report


def _check_comparable(models: Sequence[OpenedModel]) -> None:
    """Refuses networks that answer another question than the first."""
    first, *others = (model.artifact for model in models)
    differing = set(first.identity) - COMPARABLE
    for other in others:
        check_same(first, other, ignoring=differing)
    check_same_labels((first, *others))


def _open_models(entered: ExitStack, options: EvaluateOptions, steps: Steps) -> list[OpenedModel]:
    if options.try_preprocessing:
        return open_under_conventions(entered, options.artifacts[0], options.run, steps)
    return open_models(entered, tuple(dict.fromkeys(options.artifacts)), options.run, steps)


def _engine(options: EvaluateOptions, clock: Callable[[], float]) -> Engine:
    name, run = options.engine.name, options.run
    if name == "local" and (options.engine.address or options.engine.workers):
        raise InputError(
            "an address and workers are a cluster's",
            Advice("add {} ray", "engine"),
            Advice("leave out {} and {}", "address", "workers"),
        )
    chosen = replace(options.engine, run=run, strict=options.strict, clock=clock)
    engine: Engine = lazy_imports.load(ENGINES, name)(chosen)
    return engine


def _open_data(options: EvaluateOptions) -> calibration.LabelledImages:
    """The images, of any size as yet."""
    if options.labels:
        check_labels(options.labels)
    with translated():
        return calibration.open_labelled(options.data, size=1, table=options.table)


def _order_images(
    images: calibration.LabelledImages,
    options: EvaluateOptions,
    models: Sequence[OpenedModel],
    pictures: Pictures,
    steps: Steps,
) -> calibration.LabelledImages:
    """The images as the networks take them, their classes being those of the networks."""
    size = models[0].artifact.spec.input_size
    images = replace(images, source=replace(images.source, size=size, pictures=pictures))
    with translated():
        images = order_classes(
            images, models, steps, labels_file=options.labels, order=options.class_order
        )
    note_absent(images, steps)
    if options.images is None or options.images >= len(images):
        return images
    chosen = np.random.default_rng(options.seed).permutation(len(images))[: options.images]
    return images.chosen(np.sort(chosen))


def _results(
    models: Sequence[OpenedModel], images: calibration.LabelledImages, answered: Answered
) -> Iterator[EvaluationResult]:
    """What the answers give, network by network."""
    read = np.flatnonzero(answered.readable)
    targets = images.targets[read]
    first = answered.answers[0].best[read]
    for model, answers in zip(models, answered.answers, strict=True):
        best = answers.best[read]
        comparison = None
        if model is not models[0]:
            counts = PairedCounts.of(targets, first, best)
            comparison = Comparison(models[0].path, model.path, counts)
        yield EvaluationResult(
            model.record(answers.seconds),
            Accuracy.of(targets, best, len(images.classes)),
            images.classes,
            comparison,
            answers.seen,
            tuple(surest_mistakes(images, answers, read)),
            find_other_order(targets, best, len(images.classes)),
        )


def _note(report: EvaluationReport, artifacts: Sequence[Artifact], steps: Steps) -> None:
    """What the user should know of the figures."""
    spec = artifacts[0].spec
    if spec.head_activation is HeadActivation.SIGMOID and spec.classes > 1:
        steps.progress.note(
            "outputs of a sigmoid may be high together: an image counts as right where the highest "
            "is that of its folder"
        )
    for result, artifact in zip(report.results, artifacts, strict=True):
        if other := result.other_pixels:
            steps.progress.note(result.suspicion, *other_export(other, artifact.format))
        elif clause := result.suspicion:
            numbers = [CLASS_ORDER] if all(map(str.isdecimal, result.labels)) else []
            steps.progress.note(clause, Advice("see that {} has their order", "labels"), *numbers)
        if result.loss:
            steps.progress.note(result.loss)
        note_seen(result.runner.path, result.seen, steps)
    if not report.strict:
        for clause in report.inconclusive:
            steps.progress.note(f"inconclusive on {report.images} images: {clause}")
