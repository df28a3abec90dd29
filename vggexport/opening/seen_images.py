"""Images that a network was calibrated on: what they say of unseen ones is too good."""

from __future__ import annotations

from collections.abc import Iterable

import calibration
from vggexport.errors import Advice, CalibrationError
from vggexport.opening.models import OpenedModel
from vggexport.system.progress import Steps


def count_seen(
    model: OpenedModel, images: Iterable[calibration.SourceImage], *, strict: bool
) -> int:
    """How many of some images a network was calibrated on.

    Raises:
        CalibrationError: There is one, and ``strict`` is set.
    """
    record = model.artifact.calibration
    calibrated = frozenset(record.image_digests) if record else frozenset()
    seen = [image.label for image in images if image.digest in calibrated]
    if seen and strict:
        raise seen_error(seen[0], model.path)
    return len(seen)


def seen_error(label: str, path: str) -> CalibrationError:
    """The refusal of an image that a network was calibrated on."""
    return CalibrationError(
        f"{label} is one of the images that {path} was calibrated on",
        "take others",
        Advice("leave out {}", "strict"),
    )


def note_seen(path: str, seen: int, steps: Steps) -> None:
    """Says how many there were, if there were some."""
    if seen:
        steps.progress.note(
            f"{seen} of the images were calibrated on for {path}: what they say of unseen images "
            "is too good"
        )
