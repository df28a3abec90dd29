"""The images of one job: for calibration, and for checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

import calibration
from calibration.decoding import HEIC, OPEN_DEPTH
from vggexport.errors import Advice, CalibrationError
from vggexport.network.provenance import CalibrationRecord
from vggexport.quantization.ranges import ActivationRanges
from vggexport.system.number_text import counted
from vggexport.system.progress import Steps
from vggexport.system.typed_options import Positive, Share, TypedOptions

DEFAULT_SAMPLES = 128

HELD_OUT = 8
"""One image in as many checks, where a source has none beyond those that calibrate."""

SPARE_SYNTHETIC = 8
"""Synthetic images beyond the calibration's, for checks. Always as many: the choice of images must
not depend on whether a check follows."""

FEW_IMAGES = 16
"""Fewer make a note: from so many on ``calibrate --curve`` moved by less than 1 dB in a network of
4 kinds of flowers, 64 pixels: 32.2 dB with 8, 32.8 with 16, 33.7 with 105. Others need more."""

TOLERATE = Advice("tolerate more with {}", "max_unreadable")
"""What to do about unreadable images that are meant to be left out."""

_WAYS = {
    calibration.TooManyUnreadableError: TOLERATE,
    calibration.NoClassFolderError: Advice("name a CSV file of labels with {}", "csv"),
}
"""Ways out of errors of a kind that options offer."""

KEPT = 24
"""Calibration images that are kept, for what is measured on some."""


@dataclass(frozen=True, slots=True)
class CalibrationOptions(TypedOptions):
    """Which images, and how ranges are taken from them.

    Attributes:
        data: A folder, an ``.npz`` file or "synthetic".
        samples: Number of images.
        method: "minmax", "percentile", "entropy" or "mse"; None for the first, or for "mse" where a
            trial shows that int8 is clearly better with it.
        seed: Of the choice of images, and of synthetic ones.
        max_unreadable: Share of the images that may be unreadable.
    """

    data: str = calibration.SYNTHETIC
    samples: Positive = DEFAULT_SAMPLES
    method: str | None = None
    seed: int = 0
    max_unreadable: Share = calibration.sampling.MAX_UNREADABLE_FRACTION


class ImagePlan:
    """The images of one job: those for calibration, and others for checks.

    Checks get images that the calibration has not seen. Where the source has no more images than
    the calibration is to take, one in eight is held out of it. Beside them there are synthetic
    images: what a source has not, its own images do not show.

    Args:
        options: Which images.
        size: Of the network's input.
        calibrated: Images to take ranges from; 0 for none.
        checked: Images of the source to check on, at most.
        pictures: How they become pixels; None for the defaults.
        synthetic: Synthetic images to check on.
        seen: Digests of images that ranges were taken from already.

    Attributes:
        source: Where the images are.
        calibrated: Images that ranges are taken from; where there are no others for unreadable
            ones, so many fewer once all have been tried.
        is_short: Whether the source has no more images than that was to be.
        held_out: Images held out of them then.
        first: The first images that ranges were taken from so far, :data:`KEPT` at most.
        method: How ranges are taken.
        is_open: Whether that was left open.

    Raises:
        CalibrationError: The source cannot be used, or no range can be taken from such images.
    """

    def __init__(
        self,
        options: CalibrationOptions,
        size: calibration.Size,
        *,
        calibrated: int,
        checked: int,
        pictures: calibration.PictureOptions | None = None,
        synthetic: int = 0,
        seen: Collection[str] = (),
    ) -> None:
        self.checked = checked
        self.method, self.is_open = options.method or calibration.DEFAULT_METHOD, not options.method
        with translated():
            source = calibration.open_source(
                options.data,
                size=size,
                seed=options.seed,
                samples=calibrated + SPARE_SYNTHETIC,
                pictures=pictures,
            )
            self.is_short = len(source) <= calibrated
            self.held_out = len(source) // HELD_OUT if self.is_short else 0
            self.calibrated = len(source) - self.held_out if self.is_short else calibrated
            count = self.calibrated or min(checked, 1)
            self._images = calibration.CalibrationImages(
                source,
                count,
                spare=checked + len(seen),
                seed=options.seed,
                max_unreadable_fraction=options.max_unreadable,
                fewer=True,
            )
            self._check_spread(source.name)
        self.source = source
        self._varied = partial(calibration.varied_image, size=size)
        self._options = options
        self._seen = frozenset(seen)
        self.first: list[NDArray[np.uint8]] = []
        self._checks: list[NDArray[np.uint8]] = []
        self._synthetic = [self._varied(options.seed + 1, index) for index in range(synthetic)]
        self._stream = self._deliver()

    def calibration_images(self) -> Iterator[NDArray[np.uint8]]:
        """The images for calibration, uint8 (height, width, 3), once.

        Raises:
            CalibrationError: Images cannot be read.
        """
        return islice(self._stream, self.calibrated)

    def calibration_images_again(self) -> Iterator[NDArray[np.uint8]]:
        """The same once more, after they have all been given.

        Raises:
            CalibrationError: Images cannot be read.
        """
        images = calibration.CalibrationImages(
            self.source,
            self.calibrated,
            seed=self._options.seed,
            max_unreadable_fraction=self._options.max_unreadable,
            fewer=True,
        )
        with translated():
            yield from (image.pixels for image in images)

    def check_images(self) -> NDArray[np.uint8]:
        """The images for checks, uint8 (images, height, width, 3), after those for calibration."""
        for _ in self._stream:
            pass
        return np.stack([*self._checks, *self._synthetic])

    def synthetic_among(self, count: int) -> int:
        """How many of the first images for checks the tool made."""
        is_synthetic = self.source.name == calibration.SYNTHETIC
        return count if is_synthetic else max(0, count - len(self._checks))

    def other_images(self, count: int) -> NDArray[np.uint8]:
        """Synthetic images that no check runs on: uint8 (images, height, width, 3)."""
        seed = self._options.seed + 2
        return np.stack([self._varied(seed, index) for index in range(count)])

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The images skipped so far, with what is wrong with each."""
        return tuple(map(str, self._images.unreadable))

    def record(self) -> CalibrationRecord:
        """What an artifact records of the calibration, once its images have been read."""
        digests = self._images.digests[: self.calibrated]
        return CalibrationRecord(
            self.source.name, len(digests), self.method, calibration.fingerprint(digests), digests
        )

    def _check_spread(self, name: str) -> None:
        """Refuses useless images before any is run; of others the first two tell mostly."""
        spread = calibration.Spread(name)
        with closing(iter(self._images)) as images:
            for image in islice(images, self.calibrated):
                spread.add(image.pixels)
                if spread.is_enough:
                    return
        spread.check()

    def _deliver(self) -> Iterator[NDArray[np.uint8]]:
        with translated():
            for number, image in enumerate(self._images):
                if number < min(self.calibrated, KEPT):
                    self.first.append(image.pixels)
                elif number >= self.calibrated and image.digest not in self._seen:
                    self._checks.append(image.pixels)
                yield image.pixels
                if number + 1 >= self.calibrated and len(self._checks) == self.checked:
                    return
        self.calibrated = min(self.calibrated, len(self._images.digests))


@contextmanager
def translated(*advice: Advice) -> Iterator[None]:
    """Turns the errors of ``calibration``, which knows nothing of this package, into ours."""
    try:
        yield
    except calibration.SplitFolderError as error:
        raise CalibrationError(error.fact, *_instead(error), *advice) from error
    except calibration.CalibrationDataError as error:
        fewer = [Advice(f"pass {{}} {error.available}", "samples")] if error.available else []
        fix = [error.fix] if error.fix else []
        more = [way for kind, way in _WAYS.items() if isinstance(error, kind)]
        raise CalibrationError(
            error.fact, *fewer, *reading_advice(error.fact), *fix, *more, *advice
        ) from error


def reading_advice(reason: str) -> list[str | Advice]:
    """What helps where a picture cannot be read for want of its depth, or of a package."""
    ways: list[str | Advice] = []
    if OPEN_DEPTH in reason:
        ways.append(Advice("state it with {}, 16 if it is that dark", "bit_depth"))
    if HEIC in reason:
        ways.append("pip install 'vggexport[heic]'")
    return ways


def note_skipped(unreadable: Iterable[str], steps: Steps) -> None:
    """Names images that were skipped, with what is wrong with each."""
    for image in unreadable:
        steps.progress.note(f"skipped unreadable image {image}", *reading_advice(image))


def note_left_out(images: calibration.CalibrationImages, steps: Steps) -> tuple[str, ...]:
    """Says of images that have been read which were skipped, and what was left out of files.

    Returns:
        Those that were skipped, with what is wrong with each.
    """
    unreadable = tuple(map(str, images.unreadable))
    note_skipped(unreadable, steps)
    note_remarks(images.source, steps)
    return unreadable


def _instead(error: calibration.SplitFolderError) -> Iterator[Advice]:
    """The splits in the options of a command: one that trains takes two, others take one."""
    if error.learn and error.judge:
        yield Advice(
            f"did you mean {{}} {error.learn} {{}} {error.judge}", "data", "validation_data"
        )
    elif error.learn:
        yield Advice(f"did you mean {{}} {error.learn}", "data", "validation_data")
    if split := error.judge or error.learn:
        yield Advice(f"did you mean {{}} {split}", "data", "csv")  # evaluate's own: it judges


def note_remarks(source: calibration.ImageSource, steps: Steps) -> None:
    """Says, when they have been read, what was left out of files."""
    remarks = source.remarks if isinstance(source, calibration.FolderImages) else {}
    for remark, count in Counter(remarks.values()).items():
        first = next(label for label, other in remarks.items() if other == remark)
        steps.progress.note(f"{source.name}: {count} with {remark}, such as {first}")


def note_doubtful(ranges: ActivationRanges | None, steps: Steps) -> None:
    """Says so where ranges come from images that the tool made, or from few."""
    note_few(ranges.calibration if ranges else None, steps)
    if ranges and ranges.calibration.source == calibration.SYNTHETIC:
        steps.progress.note("calibrated on synthetic images: for pipelines and latency only")
    if ranges and ranges.calibration.one_class:
        steps.progress.note(
            f"{ranges.calibration.source}: nearly all images are of one class to this network; "
            "what others need is not known from them, and bundle refuses the file",
            Advice("pass images of all classes with {}", "calibration_data"),
        )


def note_few(record: CalibrationRecord | None, steps: Steps, *, of: str = "") -> None:
    """Says so where ranges come from few images of the user's."""
    if record and record.samples < FEW_IMAGES and record.source != calibration.SYNTHETIC:
        subject = f"{of} was calibrated" if of else "calibrated"
        steps.progress.note(
            f"{subject} on {counted(record.samples, 'image')} only: ranges are better from a few "
            "hundred"
        )


def note_held_out(plan: ImagePlan | None, steps: Steps) -> None:
    """Says so where a source had no images to spare for the check."""
    if plan and plan.is_short:
        steps.progress.note(
            f"{plan.source.name} has {plan.calibrated + plan.held_out} images, no more than were "
            f"asked for: {plan.calibrated} calibrate, {plan.held_out} are held out for the check"
        )


def note_unreadable(plan: ImagePlan | None, steps: Steps) -> None:
    """Names the images that were skipped."""
    if plan:
        note_skipped(plan.unreadable, steps)
        note_remarks(plan.source, steps)
