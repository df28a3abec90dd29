"""What there is in a folder, told; unreadable images noted, too many refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

import calibration
from calibration.folders import HEIC_EXTENSIONS, printable_path
from vggexport.errors import Advice, CalibrationError
from vggexport.opening.calibration_images import (
    TOLERATE,
    note_remarks,
    note_skipped,
    reading_advice,
)
from vggexport.system.number_text import counted
from vggexport.system.progress import Steps


def note_contents(
    source: calibration.ImageSource, steps: Steps
) -> calibration.FolderContents | None:
    """Says what was found in a folder, or looks wrong in an array; gives it for the report.

    Returns:
        None for images that come from elsewhere.
    """
    contents = source.contents if isinstance(source, calibration.FolderImages) else None
    if contents:
        heic = contents.skipped.keys() & set(HEIC_EXTENSIONS)
        way = [f"pip install 'vggexport[heic]' to read {min(heic)}"] if heic else []
        steps.progress.note(f"{source.name}: {contents}", *way)
    if isinstance(source, calibration.ArrayImages):
        for note in calibration.array_notes(source.images):
            steps.progress.note(f"{source.name}: {note}")
    return contents


def wrapped_advice(images: calibration.LabelledImages) -> list[Advice]:
    """What to name instead, where the folder holds the folder of classes."""
    inner = images.wrapped
    return [Advice(f"did you mean {{}} {inner}", "data")] if inner else []


def check_readable(
    images: calibration.LabelledImages,
    unreadable: Sequence[str],
    steps: Steps,
    max_unreadable: float,
) -> None:
    """Notes what could not be read.

    ``max_unreadable`` is the share that is tolerated; unless it is 0, one image always is.

    Raises:
        CalibrationError: They are too many.
    """
    tolerated = calibration.sampling.tolerated(max_unreadable, len(images))
    allowed = min(tolerated, len(images) - 1)
    if len(unreadable) > allowed:
        raise CalibrationError(
            f"{images.source.name!r} has {len(unreadable)} unreadable images of {len(images)} "
            f"where {allowed} are tolerated: {unreadable[0]}",
            *reading_advice(unreadable[0]),
            "replace or remove them",
            TOLERATE,
        )
    note_skipped(unreadable, steps)
    note_remarks(images.source, steps)


def note_contradictions(
    images: calibration.LabelledImages, digests: Iterable[str], steps: Steps
) -> None:
    """Says so where one picture is in two classes: whatever is answered, one of them is wrong."""
    places: dict[str, dict[int, str]] = {}
    for path, target, digest in zip(images.source.paths, images.targets, digests, strict=True):
        places.setdefault(digest, {}).setdefault(int(target), printable_path(path))
    double = [sorted(found.values()) for found in places.values() if len(found) > 1]
    if double:
        one, other, *_ = double[0]
        be = "is" if len(double) == 1 else "are"
        steps.progress.note(
            f"{counted(len(double), 'picture')} of {images.source.name!r} {be} in "
            f"more than one class: {one} is {other}, too; leave one of them out"
        )


def readable(
    images: calibration.LabelledImages, steps: Steps, max_unreadable: float
) -> tuple[calibration.LabelledImages, tuple[str, ...]]:
    """Reads all images once, and gives those that can be read with the digests of their files.

    Raises:
        CalibrationError: Too many cannot be.
    """
    found: dict[int, str] = {}
    unreadable = []
    readings = calibration.read_ahead(images.source, range(len(images)))
    for index, image in steps.track(readings, len(images)):
        if isinstance(image, calibration.SourceImage):
            found[index] = image.digest
        else:
            unreadable.append(f"{image.label}: {image.reason}")
    check_readable(images, unreadable, steps, max_unreadable)
    kept, digests = images.chosen(np.array(list(found))), tuple(found.values())
    note_contradictions(kept, digests, steps)
    return kept, digests


def some_images(
    images: calibration.LabelledImages, count: int, *, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """A few of all classes, (images, height, width, 3), and which those are, (images,).

    Raises:
        CalibrationError: None can be read.
    """
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    readings = calibration.read_ahead(images.source, order)
    read = ((n, image) for n, image in readings if isinstance(image, calibration.SourceImage))
    if not (found := dict(islice(read, count))):
        raise CalibrationError(f"{images.source.name!r} has no image that can be read")
    return np.stack([image.pixels for image in found.values()]), images.targets[list(found)]
