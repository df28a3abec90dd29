"""The images of one job: for calibration, and for checks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

import calibration
from calibration.decoding import OPEN_DEPTH
from vggexport.artifact import CalibrationRecord
from vggexport.errors import Advice, CalibrationError
from vggexport.quantization.ranges import ActivationRanges
from vggexport.system.progress import Steps

DEFAULT_SAMPLES = 128

SPARE_SYNTHETIC = 8
"""Synthetic images beyond the calibration's, for checks. Always as many: the choice of images must
not depend on whether a check follows."""


@dataclass(frozen=True, slots=True)
class CalibrationOptions:
    """Which images, and how ranges are taken from them.

    Attributes:
        data: A folder, an ``.npz`` file or "synthetic".
        samples: Number of images.
        method: "minmax", "percentile", "entropy" or "mse".
        seed: Of the choice of images, and of synthetic ones.
        max_unreadable: Share of the images that may be unreadable.
    """

    data: str = calibration.SYNTHETIC
    samples: int = DEFAULT_SAMPLES
    method: str = calibration.DEFAULT_METHOD
    seed: int = 0
    max_unreadable: float = calibration.sampling.MAX_UNREADABLE_FRACTION


class ImagePlan:
    """The images of one job: the first for calibration, the last for checks.

    Where the source has more images than the calibration takes, the checks get ones that it has
    not seen; otherwise the last that it has.

    Args:
        options: Which images.
        size: Of the network's input.
        calibrated: Images to take ranges from; 0 for none.
        checked: Images to check on, at most.
        pictures: How they become pixels; None for the defaults.

    Raises:
        CalibrationError: The source cannot be used, or has fewer than ``calibrated`` images.
    """

    def __init__(
        self,
        options: CalibrationOptions,
        size: calibration.Size,
        *,
        calibrated: int,
        checked: int,
        pictures: calibration.PictureOptions | None = None,
    ) -> None:
        self.calibrated = calibrated
        self.checked = checked
        self.method = options.method
        with translated():
            source = calibration.open_source(
                options.data,
                size=size,
                seed=options.seed,
                samples=calibrated + SPARE_SYNTHETIC,
                pictures=pictures,
            )
            self._images = calibration.CalibrationImages(
                source,
                calibrated or min(checked, 1),
                spare=checked,
                seed=options.seed,
                max_unreadable_fraction=options.max_unreadable,
            )
        self.source = source
        self._checks: deque[NDArray[np.uint8]] = deque(maxlen=checked)
        self._stream = self._deliver()

    def calibration_images(self) -> Iterator[NDArray[np.uint8]]:
        """The images for calibration, uint8 (height, width, 3), once."""
        return islice(self._stream, self.calibrated)

    def check_images(self) -> NDArray[np.uint8]:
        """The images for checks, uint8 (images, height, width, 3), after those for calibration."""
        for _ in self._stream:
            pass
        return np.stack(self._checks)

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The images skipped so far, with what is wrong with each."""
        return tuple(f"{image.label}: {image.reason}" for image in self._images.unreadable)

    def record(self) -> CalibrationRecord:
        """What an artifact records of the calibration, once its images have been read."""
        digests = self._images.digests[: self.calibrated]
        return CalibrationRecord(
            self.source.name, len(digests), self.method, calibration.fingerprint(digests), digests
        )

    def _deliver(self) -> Iterator[NDArray[np.uint8]]:
        with translated():
            for image in self._images:
                self._checks.append(image.pixels)
                yield image.pixels


@contextmanager
def translated(*advice: Advice) -> Iterator[None]:
    """Turns the errors of ``calibration``, which knows nothing of this package, into ours.

    Args:
        advice: Further ways out.
    """
    try:
        yield
    except calibration.SplitFolderError as error:
        raise CalibrationError(error.fact, *_instead(error), *advice) from error
    except calibration.CalibrationDataError as error:
        fewer = [Advice(f"pass {{}} {error.available}", "samples")] if error.available else []
        fix = [error.fix] if error.fix else []
        raise CalibrationError(
            error.fact, *fewer, *depth_advice(error.fact), *fix, *advice
        ) from error


def depth_advice(reason: str) -> list[Advice]:
    """How to state the depth of pictures, where that is why one cannot be read."""
    return [Advice("say {} 12, or what it is", "bit_depth")] if OPEN_DEPTH in reason else []


def note_skipped(unreadable: Iterable[str], steps: Steps) -> None:
    """Names images that were skipped, with what is wrong with each."""
    for image in unreadable:
        steps.progress.note(f"skipped unreadable image {image}", *depth_advice(image))


def _instead(error: calibration.SplitFolderError) -> Iterator[Advice]:
    """The splits in the options of a command: one that trains takes two, others take one."""
    if error.learn and error.judge:
        yield Advice(
            f"did you mean {{}} {error.learn} {{}} {error.judge}", "data", "validation_data"
        )
    if split := error.judge or error.learn:
        yield Advice(f"did you mean {{}} {split}", "data", "csv")  # evaluate's own: it judges


def note_remarks(source: calibration.ImageSource, steps: Steps) -> None:
    """Says, when they have been read, what was left out of files."""
    remarks = source.remarks if isinstance(source, calibration.FolderImages) else {}
    for remark, count in Counter(remarks.values()).items():
        first = next(label for label, other in remarks.items() if other == remark)
        steps.progress.note(f"{source.name}: {count} with {remark}, such as {first}")


def note_synthetic(ranges: ActivationRanges | None, steps: Steps) -> None:
    """Says so where ranges come from images that the tool made."""
    if ranges and ranges.calibration.source == calibration.SYNTHETIC:
        steps.progress.note("calibrated on synthetic images: for pipelines and latency only")


def note_unreadable(plan: ImagePlan | None, steps: Steps) -> None:
    """Names the images that were skipped."""
    if plan:
        note_skipped(plan.unreadable, steps)
        note_remarks(plan.source, steps)
