"""What ``evaluate`` finds out, as frozen values. The verdict is derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.metrics.accuracy import Accuracy, Interval, PairedCounts, Verdict
from vggexport.results.build import SCHEMA
from vggexport.results.verify import Guess, RunnerRecord

CONFUSIONS = 10
"""Commonest mistakes that a report names."""


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """An image that a network takes for another class.

    Attributes:
        label: Its path in the folder.
        expected: Its class.
        actual: The network's.
        pixels: uint8 (size, size, 3), RGB.
    """

    label: str
    expected: str
    actual: Guess
    pixels: NDArray[np.uint8] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """All but the pixels."""
        return {"label": self.label, "expected": self.expected, "actual": self.actual.to_json()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One network beside the first, on the same images.

    Attributes:
        first: Path of the first.
        second: Path of the other.
        counts: What they got right, image by image.
    """

    first: str
    second: str
    counts: PairedCounts

    def to_json(self) -> dict[str, Any]:
        """All of it, with what is derived."""
        return {
            "a": self.first,
            "b": self.second,
            "agreement": self.counts.agreement,
            "only_a_right": self.counts.only_first,
            "only_b_right": self.counts.only_second,
            "drop": self.counts.drop,
            "drop_ci95": self.counts.drop_interval.to_json(),
            "mcnemar_p": self.counts.p_value,
        }


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationResult:
    """One network on all images.

    Attributes:
        runner: What ran.
        accuracy: How often it is right.
        labels: Names of the classes, by index.
        comparison: It beside the first network; None for that one itself.
        seen: Images that its calibration took ranges from.
        mistakes: Images that it is surest and wrong about.
    """

    runner: RunnerRecord
    accuracy: Accuracy
    labels: tuple[str, ...]
    comparison: Comparison | None = None
    seen: int = 0
    mistakes: tuple[Mistake, ...] = ()

    @property
    def agreement(self) -> float:
        """Share of images with the best class of the first network; 1 for that one itself."""
        return self.comparison.counts.agreement if self.comparison else 1.0

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that there are images of."""
        return tuple(i for i in range(len(self.labels)) if self.accuracy.class_images(i))

    @property
    def confusions(self) -> tuple[tuple[str, str, int], ...]:
        """The commonest mistakes: class, answer, images."""
        found = self.accuracy.confused(CONFUSIONS)
        return tuple((self.labels[i], self.labels[j], count) for i, j, count in found)

    def to_json(self) -> dict[str, Any]:
        """The contract's keys and further ones."""
        accuracy = self.accuracy
        return {
            **self.runner.to_json(),
            "images": accuracy.images,
            "top1": accuracy.top1,
            "top1_ci95": accuracy.top1_interval.to_json(),
            "top5": accuracy.top5,
            "top5_ci95": accuracy.top5_interval.to_json(),
            "agreement": self.agreement,
            "unanswered": accuracy.unanswered,
            "calibration_images": self.seen,
            "classes": [self._class(index) for index in self.classes],
            "confusions": [
                {"label": label, "answer": answer, "images": images}
                for label, answer, images in self.confusions
            ],
            "mistakes": [mistake.to_json() for mistake in self.mistakes],
        }

    def _class(self, index: int) -> dict[str, Any]:
        images, hits = self.accuracy.class_images(index), self.accuracy.class_hits(index)
        answered = self.accuracy.answered(index)
        return {
            "label": self.labels[index],
            "images": images,
            "top1": hits / images,
            "precision": hits / answered if answered else None,
        }


@dataclass(frozen=True, slots=True)
class GateCheck:
    """One limit held to one network.

    Attributes:
        path: The network.
        what: "top-1" or "top-1 drop".
        value: What was measured.
        interval: What it may be, 95 %.
        limit: What was asked for.
        verdict: Whether the interval is within it.
    """

    path: str
    what: str
    value: float
    interval: Interval
    limit: float
    verdict: Verdict

    @property
    def bound(self) -> str:
        """Which side of the limit is good."""
        return "at most" if self.what.endswith("drop") else "at least"

    @property
    def clause(self) -> str:
        """All of it in words."""
        low, high = (f"{100 * value:.2f}" for value in (self.interval.low, self.interval.high))
        return (
            f"{self.path}: {self.what} {100 * self.value:.2f} % (95 %: {low} to {high}) where "
            f"{self.bound} {100 * self.limit:g} % was asked for"
        )

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "path": self.path,
            "what": self.what,
            "value": self.value,
            "ci95": self.interval.to_json(),
            "limit": self.limit,
            "verdict": self.verdict.value,
        }


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationReport:
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
    """

    results: tuple[EvaluationResult, ...]
    source: str
    images: int
    unreadable: tuple[str, ...]
    checks: tuple[GateCheck, ...]
    strict: bool
    engine: str
    seconds: Mapping[str, float]
    peak_rss_bytes: int
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict | None:
        """That of all checks together; None where there are none."""
        found = {check.verdict for check in self.checks}
        order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
        return next((verdict for verdict in order if verdict in found), None)

    @property
    def inconclusive(self) -> tuple[str, ...]:
        """A clause for each check that more images are needed for."""
        return tuple(c.clause for c in self.checks if c.verdict is Verdict.INCONCLUSIVE)

    @property
    def failures(self) -> tuple[str, ...]:
        """A clause for each check that failed."""
        failed = tuple(c.clause for c in self.checks if c.verdict is Verdict.FAIL)
        return failed + (self.inconclusive if self.strict else ())

    @property
    def inference_seconds(self) -> float:
        """What the runtimes took."""
        return sum(result.runner.seconds for result in self.results)

    def to_json(self) -> dict[str, Any]:
        """The contract's keys and further ones."""
        compared = [r.comparison.to_json() for r in self.results if r.comparison]
        checks = [check.to_json() for check in self.checks]
        return {
            "schema": SCHEMA,
            "results": [result.to_json() for result in self.results],
            "comparisons": compared,
            "gate": self.verdict and {"verdict": self.verdict.value, "checks": checks},
            "images": self.images,
            "source": self.source,
            "unreadable": list(self.unreadable),
            "engine": self.engine,
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "peak_rss_bytes": self.peak_rss_bytes,
            "versions": dict(self.versions),
            "passed": not self.failures,
        }
