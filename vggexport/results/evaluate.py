"""What ``evaluate`` finds out, as frozen values. The verdict is derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calibration import FolderContents
from calibration.class_names import listed
from vggexport.metrics.accuracy import Accuracy, PairedCounts
from vggexport.metrics.assignment import OtherOrder
from vggexport.metrics.verdict import Verdict, worst
from vggexport.network.pictures import UNSTATED, Pictures
from vggexport.network.preprocessing import Preprocessing
from vggexport.results.accuracy_gate import GateCheck
from vggexport.results.document import Document, StepSeconds
from vggexport.results.other_pixels import OtherPixels
from vggexport.results.verify import Guess, RunnerRecord
from vggexport.system.json_values import JsonValue

NAMED_CLASSES = 3
"""Of those that seem to be in another order."""

CONFUSIONS = 10
"""Commonest mistakes that a report names."""


@dataclass(frozen=True, slots=True, eq=False)
class Mistake(JsonValue):
    """An image that a network takes for another class.

    Attributes:
        label: Its path in the folder.
        expected: Its class.
        actual: The network's.
        pixels: uint8 (size, size, 3), RGB.
    """

    json_keys = "label expected actual"

    label: str
    expected: str
    actual: Guess
    pixels: NDArray[np.uint8] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Comparison(JsonValue):
    """One network beside the first, on the same images.

    Attributes:
        first: Path of the first.
        second: Path of the other.
        counts: What they got right, image by image.
    """

    json_keys = """
        a=first b=second agreement=counts.agreement only_a_right=counts.only_first
        only_b_right=counts.only_second drop=counts.drop drop_ci95=counts.drop_interval.ends
        mcnemar_p=counts.p_value
    """

    first: str
    second: str
    counts: PairedCounts


@dataclass(frozen=True, slots=True)
class ClassScore(JsonValue):
    """How often a network is right about one class.

    Attributes:
        label: The class.
        images: Of it; at least one.
        hits: Those that are taken for it.
        answered: All images that are taken for it.
    """

    json_keys = "label images top1 precision"

    label: str
    images: int
    hits: int
    answered: int

    @property
    def top1(self) -> float:
        """Share of its images that are taken for it."""
        return self.hits / self.images

    @property
    def precision(self) -> float | None:
        """Share of its images among those that are taken for it; None where there are none."""
        return self.hits / self.answered if self.answered else None


@dataclass(frozen=True, slots=True)
class Confusion(JsonValue):
    """Images of one class that are taken for another."""

    label: str
    answer: str
    images: int


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationResult(JsonValue):
    """One network on all images.

    Attributes:
        runner: What ran.
        accuracy: How often it is right.
        labels: Names of the classes, by index.
        comparison: It beside the first network; None for that one itself.
        seen: Images that its calibration took ranges from.
        mistakes: Images that it is surest and wrong about.
        other_order: Another assignment of its answers to the classes, if one fits far better.
        pixels: What happens to RGB 0...255 before its network, where that is said.
        other_pixels: What explains the same, where it was made for other pixels.
    """

    json_keys = """
        ...runner images=accuracy.images top1=accuracy.top1 top1_ci95=accuracy.top1_interval.ends
        top5=accuracy.top5 top5_ci95=accuracy.top5_interval.ends agreement
        unanswered=accuracy.unanswered calibration_images=seen class_names=labels classes
        other_class_order=other_order{top1 other_top1 answers} confusions mistakes lost_classes
        pixels? other_pixels?{preprocessing hits images own_hits rivals}
    """

    runner: RunnerRecord
    accuracy: Accuracy
    labels: tuple[str, ...]
    comparison: Comparison | None = None
    seen: int = 0
    mistakes: tuple[Mistake, ...] = ()
    other_order: OtherOrder | None = None
    pixels: Preprocessing | None = None
    other_pixels: OtherPixels | None = None

    @property
    def suspicion(self) -> str:
        """What it was asked wrongly, pixels or classes, with figures; empty where nothing is."""
        other = self.other_pixels
        return f"{self.runner.path}: {other.clause}" if other else self._order_clause

    @property
    def _order_clause(self) -> str:
        if (other := self.other_order) is None:
            return ""
        moved = [
            f"{self.labels[answer]} for {label}"
            for label, answer in zip(self.labels, other.answers, strict=True)
            if self.labels[answer] != label
        ]
        return (
            f"{self.runner.path}: classes seem to be in another order: top-1 "
            f"{100 * self.accuracy.top1:.1f} %, and {100 * other.other_top1:.1f} % with "
            f"{', '.join(moved[:NAMED_CLASSES])}{' ...' if len(moved) > NAMED_CLASSES else ''}"
        )

    @property
    def lost_classes(self) -> tuple[str, ...]:
        """Classes that the first network knows, and this one never gives."""
        compared = self.comparison
        return tuple(self.labels[i] for i in compared.counts.lost_classes) if compared else ()

    @property
    def loss(self) -> str:
        """The same as a clause; empty where there is none."""
        if not self.comparison or not self.lost_classes:
            return ""
        return (
            f"{self.runner.path}: it never gives class {listed(self.lost_classes)}, which "
            f"{self.comparison.first} does"
        )

    @property
    def agreement(self) -> float:
        """Share of images with the best class of the first network; 1 for that one itself."""
        return self.comparison.counts.agreement if self.comparison else 1.0

    @property
    def classes(self) -> tuple[ClassScore, ...]:
        """The classes that there are images of."""
        counts = self.accuracy
        return tuple(
            ClassScore(label, images, counts.class_hits(index), counts.answered(index))
            for index, label in enumerate(self.labels)
            if (images := counts.class_images(index))
        )

    @property
    def confusions(self) -> tuple[Confusion, ...]:
        """The commonest mistakes."""
        return tuple(
            Confusion(self.labels[index], self.labels[answer], images)
            for index, answer, images in self.accuracy.confused(CONFUSIONS)
        )


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationReport(Document):
    """Networks on the same labelled images.

    Attributes:
        results: One a network, the first being what the others are compared with.
        source: Where the images came from.
        images: Images that were read.
        unreadable: Images that were not, with what is wrong with each.
        checks: The limits that were asked for.
        strict: Whether an inconclusive check is a failure.
        engine: What spread the work.
        seconds: Wall-clock seconds by step.
        peak_rss_bytes: Largest resident memory of the process so far.
        versions: Of the packages that took part.
        contents: What was found in the images' folder; None where a table names them.
        pictures: How pictures became pixels.
        picture_line: The same in words, and who says so.
        fingerprint: SHA-256 over the digests of the images that were read, each with its class.
    """

    json_keys = """
        schema results comparisons gate=gated{verdict checks} images source fingerprint unreadable
        image_files=contents{files pictures skipped junk} engine seconds peak_rss_bytes
        versions passed pictures
    """

    results: tuple[EvaluationResult, ...]
    source: str
    images: int
    unreadable: tuple[str, ...]
    checks: tuple[GateCheck, ...]
    strict: bool
    engine: str
    seconds: StepSeconds
    peak_rss_bytes: int
    versions: Mapping[str, str] = field(default_factory=dict)
    contents: FolderContents | None = None
    pictures: Pictures = UNSTATED
    picture_line: str = ""
    fingerprint: str = ""

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Of every further network with the first."""
        return tuple(result.comparison for result in self.results if result.comparison)

    @property
    def by_class(self) -> tuple[tuple[ClassScore, ...], ...]:
        """The scores of all networks, a class after the other."""
        return tuple(zip(*(result.classes for result in self.results), strict=True))

    @property
    def gated(self) -> EvaluationReport | None:
        """Itself where limits were asked for."""
        return self if self.checks else None

    @property
    def verdict(self) -> Verdict | None:
        """That of all checks together; None where there are none."""
        return worst(check.verdict for check in self.checks) if self.checks else None

    @property
    def inconclusive(self) -> tuple[str, ...]:
        """A clause for each check that more images are needed for."""
        return tuple(c.clause for c in self.checks if c.verdict is Verdict.INCONCLUSIVE)

    @property
    def failures(self) -> tuple[str, ...]:
        """A clause for each check that failed."""
        failed = tuple(c.clause for c in self.checks if c.verdict is Verdict.FAIL)
        doubts = [clause for r in self.results for clause in (r.suspicion, r.loss) if clause]
        return failed + ((*self.inconclusive, *doubts) if self.strict else ())

    @property
    def inference_seconds(self) -> float:
        """What the runtimes took."""
        return sum(result.runner.seconds for result in self.results)
