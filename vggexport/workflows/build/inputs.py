"""What the files of one network have in common: weights, images, ranges, references."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.errors import Advice, InputError
from vggexport.formats.registry import FORMATS
from vggexport.formats.runner import Runner
from vggexport.metrics.parity import compare
from vggexport.network.rescaling import tensor_factors
from vggexport.opening.activation_ranges import float32_runner, take_ranges
from vggexport.opening.calibration_images import (
    CalibrationOptions,
    ImagePlan,
    note_doubtful,
    note_held_out,
    note_unreadable,
)
from vggexport.opening.float16_range import (
    Float16Range,
    factor_for,
    overflows,
    peaks,
    rescaled,
    rescaling,
    stored_overflows,
)
from vggexport.opening.labelled_images import note_contents
from vggexport.opening.network import Network, NetworkOptions, open_network
from vggexport.opening.pictures import note_assumed
from vggexport.opening.reference import reference_name, reference_runner
from vggexport.precision import Precision, Profile
from vggexport.quantization.int4 import check_divides
from vggexport.quantization.ranges import ActivationRanges
from vggexport.system.output_files import check_directory_name, made_folder, output_folder
from vggexport.system.progress import Steps
from vggexport.workflows.build.options import (
    BuildOptions,
    FileOptions,
    check_supported,
    companions_of,
)

RANGE_IMAGES = 16
"""Images that the range of float16 is looked at on, at most."""

FLOAT32_FILE = "float32 ONNX file"
"""What files that compute in integers are held to."""


ALIKE = 1e-6
"""Probabilities that move by less over images are float32's rounding."""


@dataclass(frozen=True)
class BuildInputs:
    """What files are made of and held to.

    Attributes:
        network: The network.
        options: How they are built.
        steps: Who counts the seconds of what they share.
        folders: Temporary folder of each, by where it goes.
        plan: Images for calibration and checks, or None where none are needed.
        ranges: Activation ranges, where a file needs some.
        float32_answers: What the float32 ONNX file gives for the check images, where a file that
            computes in integers is held to it.
        contents: What was found in the images' folder, where they come from one.
        float16: How layers fit into float16, where a file of that precision needs to know.
    """

    network: Network
    options: BuildOptions
    steps: Steps
    folders: Mapping[Path, Path]
    plan: ImagePlan | None
    ranges: ActivationRanges | None
    float32_answers: NDArray[np.float32] | None
    contents: calibration.FolderContents | None
    float16: Float16Range

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The images that were left out so far, with what is wrong with each."""
        return self.plan.unreadable if self.plan else ()

    @cached_property
    def owner_answers(self) -> NDArray[np.float32]:
        """What the owner's network gives for the images that float files are checked on."""
        with reference_runner(self.network) as runner:
            answers = runner.predict(check_images(self.plan, Precision.FLOAT32.profile))
        if self.float32_answers is None:
            _note_alike(answers, self.network, self.steps)
        return answers

    @cached_property
    def float32_failures(self) -> tuple[str, ...]:
        """Where the float32 ONNX file is not the network that the weights' file describes."""
        if self.float32_answers is None or self.network.weights.described is None:
            return ()
        owners = self.owner_answers
        activation = self.network.spec.head_activation
        found = compare(owners, self.float32_answers[: len(owners)], activation)
        name = reference_name(self.network)
        clauses = Precision.FLOAT32.profile.tolerance.violations(found)
        return tuple(f"the {FLOAT32_FILE} is not the {name}: {clause}" for clause in clauses)


@contextmanager
def build_inputs(
    network_options: NetworkOptions,
    calibration_options: CalibrationOptions,
    files: Mapping[Path, FileOptions],
    options: BuildOptions | None,
    steps: Steps,
    *,
    hold_weights: bool = False,
) -> Iterator[BuildInputs]:
    """Makes ready what the files need together.

    Raises:
        VggExportError: The work cannot be begun.
    """
    options = options or BuildOptions()
    for file in files.values():
        check_supported(file)
    with ExitStack() as entered:
        folders = {
            output: entered.enter_context(_folder(output, file, force=options.force))
            for output, file in files.items()
        }
        network = open_network(network_options, steps, in_memory=hold_weights)
        _check_fits(network, files.values())
        _check_rescales(options, files.values())
        ranges = _load_ranges(network, options, files.values())
        if ranges:
            network = replace(network, pictures=ranges.agreed_pictures(network.pictures))
        note_assumed(network, steps)
        plan = _plan_images(network, calibration_options, options, files.values(), ranges)
        contents = note_contents(plan.source, steps) if plan else None
        note_held_out(plan, steps)
        quantized = [file for file in files.values() if file.profile.needs_ranges]
        halves = options.looks_at_float16 and _has_halves(files.values())
        answers, float16 = None, Float16Range()
        if (quantized or halves) and plan:
            folder = next(iter(folders.values()))
            opset = next((file.opset for file in quantized if file.opset is not None), None)
            with float32_runner(network, folder, steps, opset=opset) as runner:
                if quantized:
                    ranges = ranges or take_ranges(network, runner, plan, folder, steps)
                if halves:
                    float16 = _float16_range(network, runner, plan, options, steps)
                if quantized and options.check:
                    with steps.step("reference"):
                        answers = runner.predict(check_images(plan, Precision.INT8.profile))
                    _note_alike(answers, network, steps)
            note_doubtful(ranges, steps)
        yield BuildInputs(
            network, options, steps, folders, plan, ranges, answers, contents, float16
        )
        note_unreadable(plan, steps)


def _note_alike(answers: NDArray[np.float32], network: Network, steps: Steps) -> None:
    """Says so where a network answers all images alike: any file of it passes its check."""
    moves = float(np.ptp(answers, axis=0).max())
    if len(answers) > 1 and moves < ALIKE:
        steps.progress.note(
            f"{network.weights.source} gives all {len(answers)} check images the same answer, "
            f"within {moves:.0e}: a layer is dead, or one class wins always; look at its training"
        )


def _float16_range(
    network: Network, runner: Runner, plan: ImagePlan, options: BuildOptions, steps: Steps
) -> Float16Range:
    """What does not fit into float16 on the check images; says what may not on others."""
    with steps.step("float16 range"):
        reached = peaks(runner, network.spec, plan.check_images()[:RANGE_IMAGES])
    scales = rescaling(network.spec, reached)
    if options.rescale_float16:
        named = ", ".join(f"{name} by {1 / scale:g}" for name, scale in scales.items())
        steps.progress.note(f"divided for float16: {named or 'nothing, as all layers fit'}")
    scaled = rescaled(network.spec, reached, scales if options.rescale_float16 else {})
    factors = tensor_factors(network.spec, scales if options.rescale_float16 else {})
    too_large = (*overflows(scaled), *stored_overflows(network.weights, factors))
    found = Float16Range(too_large, scales)
    factor = factor_for(plan.source.name)
    if factor > 1 and not found.overflows and (feared := next(overflows(scaled, factor), None)):
        steps.progress.note(
            f"photographs may reach {factor:g} times what synthetic images do: then {feared}",
            Advice("pass photographs with {} to know", "calibration_data"),
            Advice("make room with {}", "rescale_float16"),
        )
    return found


def check_images(plan: ImagePlan | None, profile: Profile) -> NDArray[np.uint8]:
    """The images that a file of a precision is checked on: uint8 (images, size, size, 3)."""
    assert plan is not None  # noqa: S101  there is one whenever files are checked
    images = plan.check_images()
    return images if profile.needs_ranges else images[: profile.check_images]


@contextmanager
def _folder(output: Path, file: FileOptions, *, force: bool) -> Iterator[Path]:
    """A temporary folder for a file on its way to its place."""
    marker = FORMATS[file.format].marker
    if marker:
        check_directory_name(output)
    with ExitStack() as entered:
        if file.serving:
            entered.enter_context(made_folder(output.parent))
        yield entered.enter_context(
            output_folder(
                output, *companions_of(output, file), force=force, directory_marker=marker
            )
        )


def _check_fits(network: Network, files: Collection[FileOptions]) -> None:
    if any(file.profile.int4_blocks for file in files):
        check_divides(network.spec)


def _has_halves(files: Collection[FileOptions]) -> bool:
    return any(file.precision is Precision.FLOAT16 for file in files)


def _check_rescales(options: BuildOptions, files: Collection[FileOptions]) -> None:
    if options.rescale_float16 and not _has_halves(files):
        raise InputError(
            "rescaling for float16 has no use without a float16 file",
            Advice("leave out {}", "rescale_float16"),
        )


def _load_ranges(
    network: Network, options: BuildOptions, files: Collection[FileOptions]
) -> ActivationRanges | None:
    if options.ranges is None:
        return None
    if not any(file.profile.needs_ranges for file in files):
        precisions = ", ".join(file.precision.value for file in files)
        raise InputError(
            f"ranges {options.ranges} have no use in {precisions}",
            Advice("add {}", "quantize"),
            Advice("name int8 among {}", "precisions"),
        )
    ranges = ActivationRanges.load(options.ranges)
    ranges.check_belongs(network.spec, network.record)
    return ranges


def _checked(profile: Profile, files: Collection[FileOptions]) -> int:
    """Images of the source to check on: float16's range is looked at on more than its answers."""
    return max(profile.check_images, RANGE_IMAGES if _has_halves(files) else 0)


def _plan_images(
    network: Network,
    calibration_options: CalibrationOptions,
    options: BuildOptions,
    files: Collection[FileOptions],
    ranges: ActivationRanges | None,
) -> ImagePlan | None:
    """The images that the files need, their source opened; None if they need none."""
    calibrates = ranges is None and any(file.profile.needs_ranges for file in files)
    if not (calibrates or options.looks_at_float16):
        return None
    profile = max((file.profile for file in files), key=lambda row: row.check_images)
    return ImagePlan(
        calibration_options,
        network.spec.input_size,
        calibrated=calibration_options.samples if calibrates else 0,
        pictures=network.pictures,
        checked=_checked(profile, files) if options.looks_at_float16 else 0,
        synthetic=profile.synthetic_check_images if options.check else 0,
        seen=ranges.calibration.image_digests if ranges else (),
    )
