"""What ``verify`` finds out, as frozen values. The verdict is derived from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.metrics.parity import ParityMetrics
from vggexport.metrics.tolerance import Tolerance
from vggexport.precision import Precision
from vggexport.results.build import SCHEMA


def _finite(value: float) -> float | None:
    """JSON knows no infinity and no NaN, so that they become null."""
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class LayerParity:
    """How far one layer's outputs are from the reference's, over all images."""

    name: str
    sqnr_db: float
    max_abs: float

    def to_json(self) -> dict[str, Any]:
        """The contract's keys; equal layers have a null for the SQNR."""
        return {
            "name": self.name,
            "sqnr_db": _finite(self.sqnr_db),
            "max_abs": _finite(self.max_abs),
        }


@dataclass(frozen=True, slots=True)
class SuspiciousLayer:
    """The first layer whose SQNR falls by more than its neighbours explain.

    Attributes:
        name: The layer.
        sqnr_db: Its SQNR.
        expected_db: What the layers around it make one expect.
    """

    name: str
    sqnr_db: float
    expected_db: float

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "name": self.name,
            "sqnr_db": _finite(self.sqnr_db),
            "expected_db": _finite(self.expected_db),
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """One known mistake, and how well it explains what a file gives.

    Attributes:
        fault: Its short name, such as "channels-swapped".
        description: What it is, a clause: "the file takes BGR where RGB is fed".
        figure: What was measured, such as "SQNR of the logits".
        without_db: That figure with the file as it is.
        with_db: The same once the mistake is made up for.
        explains: Whether that is as near as a healthy file is.
        fix: What to do about it.
        layer: The layer at fault, where it is one.
    """

    fault: str
    description: str
    figure: str
    without_db: float
    with_db: float
    explains: bool
    fix: str
    layer: str | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "fault": self.fault,
            "description": self.description,
            "layer": self.layer,
            "figure": self.figure,
            "without_db": _finite(self.without_db),
            "with_db": _finite(self.with_db),
            "explains": self.explains,
            "fix": self.fix,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a file failed.

    Attributes:
        trials: Every mistake that was tried, in order.
        images: On how many images.
        suspicious: The first layer that stands out on them, where layers were looked at.
    """

    trials: tuple[Trial, ...]
    images: int
    suspicious: SuspiciousLayer | None = None

    @property
    def named(self) -> Trial | None:
        """The mistake that explains the difference, or None: the first of those that do."""
        return next((trial for trial in self.trials if trial.explains), None)

    def to_json(self) -> dict[str, Any]:
        """All of it, with the verdict."""
        return {
            "fault": self.named and self.named.to_json(),
            "images": self.images,
            "tried": [trial.to_json() for trial in self.trials],
        }


@dataclass(frozen=True, slots=True)
class RunnerRecord:
    """What ran: a file or the Keras network, and on what.

    Attributes:
        path: The file, or the source of the weights.
        runtime: Name and version of what computed.
        provider: What that computed on.
        precision: How weights are stored and computed with.
        seconds: Wall-clock seconds that it took for all images.
    """

    path: str
    runtime: str
    provider: str
    precision: Precision
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The contract's keys and further ones."""
        return {
            "path": self.path,
            "runtime": self.runtime,
            "provider": self.provider,
            "precision": self.precision.value,
            "inference_seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Guess:
    """A class and its probability."""

    index: int
    label: str
    probability: float

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "index": self.index,
            "label": self.label,
            "probability": _finite(self.probability),
        }


@dataclass(frozen=True, slots=True, eq=False)
class ImageParity:
    """One image on which a file is far from the reference.

    Attributes:
        label: Path in the folder, or "#12".
        logit_sqnr_db: SQNR of its logits.
        expected: The reference's best class.
        actual: The file's.
        pixels: uint8 (size, size, 3), RGB.
    """

    label: str
    logit_sqnr_db: float
    expected: Guess
    actual: Guess
    pixels: NDArray[np.uint8] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """All but the pixels."""
        return {
            "label": self.label,
            "logit_sqnr_db": _finite(self.logit_sqnr_db),
            "expected": self.expected.to_json(),
            "actual": self.actual.to_json(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class CandidateReport:
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

    @property
    def failures(self) -> tuple[str, ...]:
        """What is out of tolerance, a clause each; empty for a pass."""
        return self.tolerance.violations(self.metrics)

    @property
    def verdict(self) -> str:
        """What is out of tolerance, and the mistake that explains it, in one clause."""
        named = self.diagnosis and self.diagnosis.named
        reason = f" ({named.fault})" if named else ""
        return f"{self.runner.path}: {', '.join(self.failures) or 'passed'}{reason}"

    @property
    def worst_image(self) -> str:
        """The image whose logits are furthest off for their size."""
        return self.worst[0].label if self.worst else ""

    def to_json(self) -> dict[str, Any]:
        """The contract's keys and further ones."""
        return {
            **self.runner.to_json(),
            "metrics": self.metrics.to_json(),
            "tolerance": self.tolerance.to_json(),
            "passed": not self.failures,
            "failures": list(self.failures),
            "worst_image": self.worst_image,
            "worst": [image.to_json() for image in self.worst],
            "calibration_images": self.seen,
            "layers": [layer.to_json() for layer in self.layers],
            "suspicious_layer": self.suspicious and self.suspicious.to_json(),
            "diagnosis": self.diagnosis and self.diagnosis.to_json(),
        }


@dataclass(frozen=True, slots=True)
class VerifyReport:
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
    """

    reference: RunnerRecord
    images: int
    source: str
    candidates: tuple[CandidateReport, ...]
    seconds: Mapping[str, float]
    peak_rss_bytes: int
    versions: Mapping[str, str] = field(default_factory=dict)
    reference_seen: int = 0

    @property
    def inference_seconds(self) -> float:
        """What the runtimes took for the images, of the seconds of the step that ran them."""
        return sum(runner.seconds for runner in (self.reference, *self._runners))

    @property
    def _runners(self) -> Iterator[RunnerRecord]:
        return (candidate.runner for candidate in self.candidates)

    @property
    def failures(self) -> tuple[str, ...]:
        """A clause for each file that failed, with the mistake that explains it."""
        return tuple(c.verdict for c in self.candidates if c.failures)

    def to_json(self) -> dict[str, Any]:
        """The contract's keys and further ones."""
        return {
            "schema": SCHEMA,
            "reference": {
                **self.reference.to_json(),
                "calibration_images": self.reference_seen,
            },
            "images": self.images,
            "source": self.source,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "inference_seconds": round(self.inference_seconds, 3),
            "peak_rss_bytes": self.peak_rss_bytes,
            "versions": dict(self.versions),
            "passed": not self.failures,
        }
