"""From models to a bundle: laid out, run on the golden images, packed with what describes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import chain
from pathlib import Path

import numpy as np

from vggexport.artifact import Artifact
from vggexport.bundles import LABELS, MANIFEST, MODEL_CARD, PREPROCESSING, README, REPORTS
from vggexport.bundles.answers import GivenAnswers
from vggexport.bundles.checksums import Digest
from vggexport.bundles.class_names import agreed_labels
from vggexport.bundles.evidence import Evidence
from vggexport.bundles.foreign import ends_described, foreign_names, layout_of
from vggexport.bundles.golden_files import prepared_pictures, write_golden
from vggexport.bundles.golden_images import ChosenImages, choose_images, recorded_images
from vggexport.bundles.golden_run import REPEATABLE_THREADS, answer
from vggexport.bundles.layouts import LAYOUTS
from vggexport.bundles.layouts.interface import PlacedModel
from vggexport.bundles.model_card import guide, model_card
from vggexport.bundles.names import check_names
from vggexport.bundles.preprocessing import Preprocessing
from vggexport.bundles.release_checks import Model
from vggexport.bundles.staging import Staging
from vggexport.bundles.static import static_files
from vggexport.errors import Unfinished
from vggexport.metrics.parity import compare
from vggexport.network.pictures import PictureRequest, Pictures
from vggexport.opening.file_check import tolerance_between
from vggexport.opening.pictures import agreed_pictures
from vggexport.opening.run_options import RunOptions
from vggexport.results.bundle import AnswerCheck, BundleReport, SizeGate
from vggexport.results.bundle_manifest import Manifest
from vggexport.system import lazy_imports
from vggexport.system.digests import listing_digest
from vggexport.system.output_files import publish
from vggexport.system.process import package_versions, peak_rss_bytes
from vggexport.system.progress import Steps
from vggexport.workflows.bundle.options import ARCHIVE_SUFFIX, BundleOptions

MADE_HERE = "made by vggexport, free for any use"
"""Licence of golden images that nobody took."""


@dataclass(frozen=True, slots=True)
class BundleInputs:
    """What a bundle is made of; what is ``placed`` are the models as they lie in it."""

    options: BundleOptions
    models: Sequence[Model]
    placed: Sequence[PlacedModel]
    pictures: Pictures
    evidence: Sequence[Evidence]
    labels: tuple[str, ...]
    staging: Staging
    steps: Steps


def lay_out(
    options: BundleOptions,
    models: Sequence[Model],
    evidence: Sequence[Evidence],
    staging: Staging,
    steps: Steps,
) -> BundleInputs:
    """Gives every model its place.

    Raises:
        ArtifactError: A name is one that no receiver could use.
        InputError: The labels are not those that the models carry.
    """
    with steps.step("lay out"):
        place = lazy_imports.load(LAYOUTS, options.layout)
        placed: list[PlacedModel] = [
            place(model.artifact, model.path, staging.scratch()) for model in models
        ]
        names = chain.from_iterable(model.files for model in placed)
        check_names(chain(names, map(_report_place, evidence)), advice="rename what it is made of")
    labels = agreed_labels(models, options.labels, evidence, may_lack=options.no_labels)
    pictures = agreed_pictures([m.artifact for m in models], PictureRequest()).pictures
    return BundleInputs(options, models, placed, pictures, evidence, labels, staging, steps)


def run_models(inputs: BundleInputs) -> tuple[tuple[AnswerCheck, ...], ChosenImages]:
    """Runs all models on the golden images and holds each to the reference.

    Returns:
        The check of each, and those images.
    """
    steps, golden = inputs.steps, _golden_images(inputs)
    preprocessing = Preprocessing(golden.pixels.shape[1:3], inputs.pictures)
    pictures = tuple(prepared_pictures(preprocessing))
    shown = np.stack([picture.pixels for picture in pictures])
    with steps.step("run"):
        given = [
            answer(p.artifact, p.path, golden.pixels, shown, RunOptions(REPEATABLE_THREADS))
            for p in steps.track(inputs.placed, len(inputs.placed))
        ]
    finest = min(range(len(given)), key=lambda i: _rank(inputs.placed[i].artifact))
    mine = replace(given[finest], tolerances=(), picture_probabilities=None)
    reference = golden.answers or mine
    artifact = golden.artifact or inputs.placed[finest].artifact
    names = inputs.labels or tuple(map(str, range(artifact.spec.label_count)))
    told = [one.named(names) for one in given]
    write_golden(inputs.staging, golden, reference, told, preprocessing, pictures)
    checks = tuple(
        replace(
            _check(p.artifact, mine, artifact, reference),
            is_reference=golden.answers is None and mine is given[finest],
        )
        for p, mine in zip(inputs.placed, given, strict=True)
    )
    return checks, golden


def _golden_images(inputs: BundleInputs) -> ChosenImages:
    options, first, steps = inputs.options, inputs.models[0].artifact, inputs.steps
    with steps.step("images"):
        if options.golden:
            return recorded_images(options.golden, options.images, first)
        size = first.spec.input_size
        return choose_images(
            options.data, options.images, options.seed, size, inputs.pictures, steps,
            max_unreadable=options.max_unreadable,
        )  # fmt: skip


def _rank(artifact: Artifact) -> tuple[bool, int]:
    """Which models the others are held to: ours, and of those the least coarse."""
    return bool(artifact.foreign), artifact.profile.coarseness


def pack(
    inputs: BundleInputs,
    folder: Path,
    sizes: SizeGate,
    checks: tuple[AnswerCheck, ...],
    *,
    moment: int,
    sign: Callable[[bytes], bytes] | None,
) -> BundleReport:
    """Adds everything that is left, and publishes the bundle.

    What lies in the temporary folder under the output's name is published; it is signed where
    ``sign`` is given.

    Raises:
        Unfinished: A model became another since it was read and its answers were taken.
    """
    options, staging = inputs.options, inputs.staging
    with inputs.steps.step("pack"):
        manifest = _manifest(inputs, moment)
        _add_texts(inputs, manifest, checks)
        for placed in inputs.placed:
            staging.add_files(placed.files)
        staging.seal(sign)
        _check_unchanged(inputs)
        target = folder / options.output.name
        digest = (
            staging.write_archive(target, moment=moment)
            if options.is_archive
            else staging.write_folder(target)
        )
        publish(folder, options.output)
    return BundleReport(
        str(options.output),
        manifest,
        sizes,
        checks,
        len(staging.files),
        _size(options.output),
        digest,
        sign is not None,
        inputs.steps.seconds,
        peak_rss_bytes(),
    )


def _manifest(inputs: BundleInputs, moment: int) -> Manifest:
    options = inputs.options
    return Manifest(
        options.output.name.removesuffix(ARCHIVE_SUFFIX),
        options.layout,
        tuple(placed.bundled for placed in inputs.placed),
        inputs.labels,
        options.licence,
        options.weights_source or _weights_source(inputs.models),
        moment,
        package_versions() | {"pillow": metadata.version("pillow")},
        tuple(map(_report_place, inputs.evidence)),
        options.golden_licence or (None if options.has_photographs else MADE_HERE),
        options.made_by,
        options.intended_use,
        options.limits,
    )


def _weights_source(models: Sequence[Model]) -> str:
    """What the models say; those of other converters say nothing."""
    ours = (m.artifact.weights.source for m in models if not m.artifact.foreign)
    return next(ours, models[0].artifact.weights.source)


def _add_texts(inputs: BundleInputs, manifest: Manifest, checks: Sequence[AnswerCheck]) -> None:
    add = inputs.staging.add
    has_foreign = bool(foreign_names(m.artifact for m in inputs.models))
    for name, data in static_files(with_examples=not has_foreign).items():
        add(name, data)
    add(LABELS, manifest.label_lines)
    for evidence in inputs.evidence:
        add(_report_place(evidence), evidence.content)
    size = inputs.models[0].artifact.spec.input_size
    described = Preprocessing(size, inputs.pictures).to_json(_ends(inputs))
    inputs.staging.add_json(PREPROCESSING, described)
    inputs.staging.add_json(MANIFEST, manifest.to_json())
    add(MODEL_CARD, model_card(manifest, inputs.evidence, checks).encode())
    is_signed = inputs.options.sign is not None
    add(README, guide(manifest, inputs.pictures, is_signed=is_signed).encode())


def _ends(inputs: BundleInputs) -> dict[str, object]:
    """What each model takes and gives, by its place."""
    return {
        placed.artifact.path: {
            "input": {
                **model.input.to_json(),
                "layout": layout_of(placed.artifact),
                "colour_order": "RGB",
            },
            "output": model.output.to_json(),
            **ends_described(placed.artifact),
        }
        for placed, model in zip(inputs.placed, inputs.models, strict=True)
    }


def _check_unchanged(inputs: BundleInputs) -> None:
    for placed in inputs.placed:
        if _packed_sha256(placed, inputs.staging.digests) != placed.artifact.sha256:
            raise Unfinished(
                f"{placed.path} was changed while it was packed: bundle it when it is whole"
            )


def _report_place(evidence: Evidence) -> str:
    return f"{REPORTS}/{evidence.path.name}"


def _packed_sha256(placed: PlacedModel, digests: Mapping[str, Digest]) -> str:
    """The digest of a model as it is packed, a directory's being that of its listing."""
    place = placed.artifact.path
    if not placed.path.is_dir():
        return digests[place].sha256
    listed = {n: d.sha256 for n, d in digests.items() if n.startswith(f"{place}/")}
    return listing_digest({n.removeprefix(f"{place}/"): sha for n, sha in listed.items()})


def _size(path: Path) -> int:
    parts = path.rglob("*") if path.is_dir() else (path,)
    return sum(part.stat().st_size for part in parts if part.is_file())


def _check(
    artifact: Artifact, given: GivenAnswers, of: Artifact, reference: GivenAnswers
) -> AnswerCheck:
    return AnswerCheck(
        artifact.path,
        artifact.format,
        artifact.precision.value,
        given.runtime,
        given.provider,
        compare(reference.probabilities, given.probabilities, artifact.spec.head_activation),
        tolerance_between(of, artifact),
        labels=artifact.labels,
    )
