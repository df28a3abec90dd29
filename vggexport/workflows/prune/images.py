"""The images of a pruning: those that channels are chosen by, and others to measure on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.errors import Advice, CalibrationError
from vggexport.network.layers import LayerKind
from vggexport.network.pictures import Pictures
from vggexport.network.provenance import CalibrationRecord
from vggexport.network.spec import VGGSpec
from vggexport.opening.calibration_images import note_left_out, translated
from vggexport.opening.labelled_images import note_contents
from vggexport.system.progress import Steps
from vggexport.workflows.prune.options import MOST_IMAGES, PruneOptions

CHECKED_SHARE, MOST_CHECKED = 5, 48
"""One image in five is measured on, at most so many."""
FEWEST_ROWS = 2
"""Places for each input of a place: with fewer a layer fits the images and nothing else."""


@dataclass(frozen=True, slots=True, eq=False)
class PruningImages:
    """Images, each uint8 (images, height, width, 3).

    Attributes:
        chosen_by: Channels are chosen by these.
        checked: The result is measured on these.
        record: What the weights record of the former.
        contents: What was found in their folder; None where they come from elsewhere.
        unreadable: Images that were left out, with what is wrong with each.
    """

    chosen_by: NDArray[np.uint8]
    checked: NDArray[np.uint8]
    record: CalibrationRecord
    contents: calibration.FolderContents | None
    unreadable: tuple[str, ...]


def read_images(
    options: PruneOptions, spec: VGGSpec, pictures: Pictures, steps: Steps
) -> PruningImages:
    """Reads them, as pictures become pixels for the network.

    Raises:
        CalibrationError: They cannot be read, are too few or all alike.
    """
    with steps.step("images"), translated():
        source = calibration.open_source(
            options.calibration_data, size=spec.input_size, seed=0, samples=0, pictures=pictures
        )
        contents = note_contents(source, steps)
        count, checked, least = _counts(options.calibration_samples, len(source), source.name, spec)
        images = calibration.CalibrationImages(
            source,
            count,
            spare=checked,
            seed=options.network.seed,
            max_unreadable_fraction=options.max_unreadable,
        )
        tracked = steps.track(iter(images), count + checked)
        pixels = np.stack([image.pixels for image in tracked])
    if len(pixels) == count:
        raise CalibrationError(
            f"{source.name} has {len(images.unreadable)} unreadable images, and none of the others "
            f"is left to measure on beside the {count} that choose channels",
            "replace them",
            Advice("pass fewer with {}", "calibration_samples"),
        )
    digests = images.digests[:count]
    _check_unlike(source.name, pixels, digests, least)
    unreadable = note_left_out(images, steps)
    record = CalibrationRecord(
        source.name, count, "pruning", calibration.fingerprint(digests), digests
    )
    return PruningImages(pixels[:count], pixels[count:], record, contents, unreadable)


def _counts(asked: int | None, there_are: int, name: str, spec: VGGSpec) -> tuple[int, int, int]:
    """How many images channels are chosen by, how many are measured on, the least of the former."""
    checked = min(there_are // CHECKED_SHARE, MOST_CHECKED)
    count = asked or min(there_are - checked, MOST_IMAGES)
    checked = min(max(checked, 1), there_are - count)
    if asked and checked < 1:
        raise CalibrationError(
            f"{name} has {there_are} images, {count} were asked for, and none is left to measure "
            "on",
            Advice("pass fewer with {}", "calibration_samples"),
        )
    least, layer = images_needed(spec)
    if count < least or checked < 1:
        raise CalibrationError(
            f"{name} has {there_are} images, {count} of them to choose channels by: {layer} needs "
            f"{least}, and one in {CHECKED_SHARE} is measured on",
            f"give {least + -(-least // (CHECKED_SHARE - 1))} or more photographs like those that "
            "the network will see",
        )
    return count, checked, least


def images_needed(spec: VGGSpec) -> tuple[int, str]:
    """The least number of images, and the layer that needs so many."""
    found = []
    for layer in spec.weighted_layers:
        if layer.kind is LayerKind.CONVOLUTION:
            height, width, _ = layer.output_shape
            inputs = layer.kernel.size // layer.kernel.shape[-1]
            found.append((-(-FEWEST_ROWS * inputs // (height * width)), layer.name))
    return max(found, key=lambda one: one[0])


def _check_unlike(
    name: str, pixels: NDArray[np.uint8], digests: tuple[str, ...], least: int
) -> None:
    """Refuses what shows too little to tell channels apart by."""
    plain = {digest for digest, image in zip(digests, pixels, strict=False) if not image.std()}
    different = len(set(digests) - plain)
    if different < least:
        raise CalibrationError(
            f"{name}: {different} of {len(digests)} images are not the same as another, nor of one "
            f"colour, where {least} are needed",
            "give photographs like those that the network will see",
        )
