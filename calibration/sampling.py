"""Which images of a source a calibration sees, and in which order."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from calibration.errors import CalibrationDataError, TooManyUnreadableError, UnreadableImageError
from calibration.fingerprint import fingerprint
from calibration.reading import read_ahead
from calibration.seeding import generator
from calibration.sources import ImageSource, SourceImage

MAX_UNREADABLE_FRACTION = 0.05

_NAMED_IN_ERRORS = 3


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """An image that was skipped.

    Attributes:
        label: Which image, as in :class:`~calibration.sources.SourceImage`.
        reason: What is wrong with it, in one line.
    """

    label: str
    reason: str

    def __str__(self) -> str:
        """Both."""
        return f"{self.label}: {self.reason}"


class CalibrationImages:
    """``count`` readable images of a source in a seeded random order, and some to spare.

    An unreadable image is recorded and replaced by the next of the order. One is always
    tolerated, more only up to ``max_unreadable_fraction`` of ``count``; of 0 none is.

    Iterating again starts anew and gives the same images, provided that the files have not
    changed. :attr:`unreadable`, :attr:`digests` and :attr:`fingerprint` tell of the latest
    iteration; only one should be under way at a time. A background thread decodes ahead; it
    ends when the iteration ends, is abandoned or closed.

    Args:
        source: Where the images are.
        count: Images to deliver, at least 1.
        spare: Images to deliver after those, as far as the source has readable ones.
        seed: Of the order, 0 or more.
        max_unreadable_fraction: 0...1.
        fewer: Whether fewer will do where unreadable images leave no more; ``count`` is then those
            that there were, once they have been delivered.

    Raises:
        CalibrationDataError: A number is out of range, or the source has too few images.
    """

    def __init__(
        self,
        source: ImageSource,
        count: int,
        *,
        seed: int,
        spare: int = 0,
        max_unreadable_fraction: float = MAX_UNREADABLE_FRACTION,
        fewer: bool = False,
    ) -> None:
        _check(source, count, max_unreadable_fraction)
        self.source = source
        self.count = count
        self.spare = spare
        self.fewer = fewer
        self.max_unreadable = tolerated(max_unreadable_fraction, count)
        self._order: list[int] = generator(seed).permutation(len(source)).tolist()
        self._unreadable: list[UnreadableImage] = []
        self._digests: list[str] = []

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Generator[SourceImage]:
        """Yields the images.

        Raises:
            CalibrationDataError: Too many are unreadable, or not enough are left.
        """
        self._unreadable, self._digests = [], []
        order = iter(self._order)
        while chosen := list(islice(order, self.count + self.spare - len(self._digests))):
            with closing(read_ahead(self.source, chosen)) as readings:
                for _, image in readings:
                    if isinstance(image, UnreadableImageError):
                        self._skip(image)
                    else:
                        self._digests.append(image.digest)
                        yield image
        if len(self._digests) < self.count:
            if not (self.fewer and self._digests):
                raise self._too_few_left()
            self.count = len(self._digests)

    @property
    def unreadable(self) -> tuple[UnreadableImage, ...]:
        """The images skipped so far, in order."""
        return tuple(self._unreadable)

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of the images delivered so far, in order."""
        return tuple(self._digests)

    @property
    def fingerprint(self) -> str:
        """Hex sha256 that tells the first ``count`` images and their order from others.

        Raises:
            RuntimeError: The images have not all been delivered yet.
        """
        if len(self._digests) < self.count:
            raise RuntimeError(f"{len(self._digests)} of {self.count} images were iterated over")
        return fingerprint(self._digests[: self.count])

    def _skip(self, error: UnreadableImageError) -> None:
        self._unreadable.append(UnreadableImage(error.label, error.reason))
        if len(self._unreadable) > self.max_unreadable:
            raise TooManyUnreadableError(
                f"data {self.source.name!r} has {len(self._unreadable)} unreadable "
                f"images where {self.max_unreadable} of {self.count} are tolerated: "
                f"{self._first_unreadable()}",
                "replace or remove them",
            ) from error

    def _too_few_left(self) -> CalibrationDataError:
        readable = len(self._digests)
        return CalibrationDataError(
            f"data {self.source.name!r} has {readable} readable images where "
            f"{self.count} were asked for; unreadable: {self._first_unreadable()}",
            "add images",
            available=readable,
        )

    def _first_unreadable(self) -> str:
        named = self._unreadable[:_NAMED_IN_ERRORS]
        texts = [f"{image.label!r} ({image.reason})" for image in named]
        if rest := len(self._unreadable) - len(named):
            texts.append(f"and {rest} more")
        return ", ".join(texts)


def tolerated(fraction: float, count: int) -> int:
    """How many of so many images may be unreadable: of any fraction but 0 one, at least."""
    return max(1, int(fraction * count)) if fraction else 0


def _check(source: ImageSource, count: int, max_unreadable_fraction: float) -> None:
    if count < 1:
        raise CalibrationDataError(f"{count} calibration samples: pass 1 or more")
    if not 0 <= max_unreadable_fraction <= 1:
        raise CalibrationDataError(
            f"fraction of unreadable images {max_unreadable_fraction}: pass a number from 0 to 1"
        )
    if len(source) < count:
        raise CalibrationDataError(
            f"data {source.name!r} has {len(source)} images where {count} were asked for",
            "add images",
            available=len(source),
        )
