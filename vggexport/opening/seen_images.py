"""Images that a network was calibrated on or pruned by: what they say of unseen is too good."""

from __future__ import annotations

from collections.abc import Iterable

import calibration
from vggexport.errors import Advice, CalibrationError
from vggexport.opening.models import OpenedModel
from vggexport.system.progress import Steps


def count_seen(
    model: OpenedModel, images: Iterable[calibration.SourceImage], *, strict: bool
) -> int:
    """How many of some images a network was calibrated on, or its channels chosen by.

    Raises:
        CalibrationError: There is one, and ``strict`` is set.
    """
    artifact = model.artifact
    pruned = artifact.weights.pruning
    records = (artifact.calibration, pruned.calibration if pruned else None)
    calibrated = {digest for record in records if record for digest in record.image_digests}
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
            f"calibration of {path} used {seen} of these images, so its figures are better than "
            "on others"
        )
