"""What ``verify`` finds out, as frozen values. The verdict is derived from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from calibration import FolderContents
from vggexport.metrics.parity import ParityMetrics
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.pictures import Pictures
from vggexport.network.preprocessing import Preprocessing
from vggexport.precision import Precision
from vggexport.results.diagnosis import Diagnosis, SuspiciousLayer
from vggexport.results.document import Document, Judged, StepSeconds
from vggexport.system.json_values import Finite, JsonValue, Seconds


@dataclass(frozen=True, slots=True)
class LayerParity(JsonValue):
    """How far one layer's outputs are from the reference's, over all images."""

    name: str
    sqnr_db: Finite
    max_abs: Finite


@dataclass(frozen=True, slots=True)
class FoundPreprocessing(JsonValue):
    """What a file wants done to pixels, as trying the conventions told.

    Attributes:
        name: The convention that comes nearest to the reference.
        channel_order: "rgb" or "bgr".
        fits: Whether that is within the tolerance.
        sqnr_db: SQNR of the logits under it; of the probabilities where the tolerance is on those.
        next: The next best, in words.
        next_sqnr_db: The same under that.
    """

    name: str
    channel_order: str
    fits: bool
    sqnr_db: Finite
    next: str
    next_sqnr_db: Finite


@dataclass(frozen=True, slots=True)
class RunnerRecord(JsonValue):
    """What ran: a file or the Keras network, and on what.

    Attributes:
        path: The file, or the source of the weights.
        runtime: Name and version of what computed.
        provider: What that computed on.
        precision: How weights are stored and computed with.
        seconds: Wall-clock seconds that it took for all images.
        foreign: Whether another converter wrote the file.
        preprocessing: Of such a file: what was done to RGB 0...255 in front of it.
        found: How that was found out, where it was not stated.
        sha256: Of the file or directory; None where it is none, such as "random:0".
    """

    json_keys = """
        path sha256? runtime provider precision inference_seconds=seconds foreign preprocessing?
        preprocessing_found?=found
    """

    path: str
    runtime: str
    provider: str
    precision: Precision
    seconds: Seconds = 0.0
    foreign: bool = False
    preprocessing: Preprocessing | None = None
    found: FoundPreprocessing | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Guess(JsonValue):
    """A class and its probability."""

    index: int
    label: str
    probability: Finite

    @classmethod
    def named(cls, index: int, labels: Sequence[str], probability: float) -> Self:
        """With the class's name, or its index where there are no names; below 0 for no answer."""
        names = "no answer" if index < 0 else labels[index] if labels else str(index)
        return cls(index, names, probability)


@dataclass(frozen=True, slots=True, eq=False)
class ImageParity(JsonValue):
    """One image on which a file is far from the reference.

    Attributes:
        label: Path in the folder, or "#12".
        logit_sqnr_db: SQNR of its logits.
        expected: The reference's best class.
        actual: The file's.
        pixels: uint8 (size, size, 3), RGB.
    """

    json_keys = "label logit_sqnr_db expected actual"

    label: str
    logit_sqnr_db: Finite
    expected: Guess
    actual: Guess
    pixels: NDArray[np.uint8] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class CandidateReport(Judged):
    """One file held to the reference.

    Attributes:
        runner: What ran.
        metrics: How far it is.
        tolerance: How far it may be.
        worst: The images whose logits are furthest off for their size, worst first.
        scatter: float32 (points, 2): logits of the reference and of the file, centred in each
            image; a sample whose size does not grow with the images.
        layers: Layer by layer, in order, where that was asked for.
        suspicious: The first layer that stands out, if one does.
        diagnosis: Why it failed, where that was looked into.
        seen: Images that its calibration took ranges from.
        layer_images: The first images, on which layers were compared.
        classes: Of the network; 0 where that is not known.
        labels: Their names, or nothing.
    """

    json_keys = """
        ...runner metrics tolerance passed failures worst_image worst calibration_images=seen
        layers layer_images suspicious_layer=suspicious diagnosis
    """

    runner: RunnerRecord
    metrics: ParityMetrics
    tolerance: Tolerance
    worst: tuple[ImageParity, ...] = ()
    scatter: NDArray[np.float32] = field(
        default_factory=lambda: np.empty((0, 2), np.float32), repr=False
    )
    layers: tuple[LayerParity, ...] = ()
    suspicious: SuspiciousLayer | None = None
    diagnosis: Diagnosis | None = None
    seen: int = 0
    layer_images: int = 0
    classes: int = 0
    labels: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """What is out of tolerance, a clause each; empty for a pass."""
        found = self.tolerance.violations(self.metrics, self.labels)
        if self.runner.found and not self.runner.found.fits:
            found = ("no preprocessing fits", *found)
        broken = next((la for la in self.layers if not math.isfinite(la.max_abs)), None)
        if broken and self.metrics.finite:
            found += (f"NaN or infinity in {broken.name}",)
        return found

    @property
    def verdict(self) -> str:
        """What is out of tolerance, and the mistake that explains it, in one clause."""
        named = self.diagnosis and self.diagnosis.named
        reason = f"; {named.description}" if named else ""
        return f"{self.runner.path}: {', '.join(self.failures) or 'passed'}{reason}"

    @property
    def worst_image(self) -> str:
        """The image whose logits are furthest off for their size."""
        return self.worst[0].label if self.worst else ""


@dataclass(frozen=True, slots=True)
class VerifyReport(Document):
    """Files held to a reference on the same images.

    Attributes:
        reference: What they were held to.
        images: Number of images.
        source: Where those came from.
        candidates: The files.
        seconds: Wall-clock seconds by step.
        peak_rss_bytes: Largest resident memory of the process so far.
        versions: Of the packages that took part.
        reference_seen: Images that the reference's calibration took ranges from.
        contents: What was found in the images' folder; None where they come from elsewhere.
        fingerprint: SHA-256 over the images' digests, in order.
        pixels: What happens to RGB 0...255 before the reference's network; None where the reference
            is of another converter, or the owner's own answers.
        unreadable: Images that were left out, with what is wrong with each.
        is_pixels_stated: Whether ``pixels`` are what a file records of its export's options, and
            nothing in the weights tells the same.
        pictures: How pictures became pixels; None of images that are pixels already.
        picture_line: The same in words, and who says so; empty likewise.
    """

    json_keys = """
        schema reference={...reference calibration_images=reference_seen pixels?} images source
        fingerprint image_files=contents{files pictures skipped junk} unreadable candidates seconds
        inference_seconds peak_rss_bytes versions passed pictures?
    """

    reference: RunnerRecord
    images: int
    source: str
    candidates: tuple[CandidateReport, ...]
    seconds: StepSeconds
    peak_rss_bytes: int
    versions: Mapping[str, str] = field(default_factory=dict)
    reference_seen: int = 0
    contents: FolderContents | None = None
    fingerprint: str = ""
    pixels: Preprocessing | None = None
    unreadable: tuple[str, ...] = ()
    pictures: Pictures | None = None
    picture_line: str = ""
    is_pixels_stated: bool = False

    @property
    def assumed_pixels(self) -> str:
        """The convention that nobody stated, in words; empty where one was stated or read."""
        pixels = self.pixels
        return "" if pixels is None or pixels.known else pixels.words

    @property
    def inference_seconds(self) -> Seconds:
        """What the runtimes took for the images, of the seconds of the step that ran them."""
        return sum(runner.seconds for runner in (self.reference, *self._runners))

    @property
    def _runners(self) -> Iterator[RunnerRecord]:
        return (candidate.runner for candidate in self.candidates)

    @property
    def failures(self) -> tuple[str, ...]:
        """A clause for each file that failed, with the mistake that explains it."""
        return tuple(c.verdict for c in self.candidates if c.failures)
