"""How far a candidate may be from its reference, and why so far."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vggexport.network.layers import OUTPUT_NAME, Layer
from vggexport.system.json_values import JsonValue
from vggexport.system.number_text import decibels

if TYPE_CHECKING:  # it needs numpy, and every precision has tolerances
    from vggexport.metrics.choices import Choices
    from vggexport.metrics.parity import ParityMetrics

NAMED_CLASSES = 4


@dataclass(frozen=True, slots=True)
class Tolerance(JsonValue):
    """What a candidate must reach, and why that value.

    Attributes:
        max_abs: Largest difference of one probability allowed.
        min_logit_sqnr_db: Smallest SQNR of the logits allowed.
        min_sqnr_db: Smallest SQNR of the probabilities allowed.
        min_top1_agreement: Smallest share of images with the same best class allowed, 0...1.
        reason: Where the values come from.
        min_sure_agreement: Smallest share of images with the same best class: it is missed where
            it lies above the exact 95 % interval of the share that was found. Images on which the
            reference has both classes nearly equal count as agreeing.
        min_coarse_logit_sqnr_db: Smallest SQNR allowed of the logits of probabilities in whole
            256ths: those below half a step, 1/512, count as that.
        min_half_logit_sqnr_db: Smallest SQNR allowed of the logits of probabilities in half
            precision: those below 2**-14, its smallest normal number, count as that; of a
            sigmoid's, those nearer than 2**-9 to 0 or 1.
        negligible_logit_error: Root mean square difference of the logits up to which their SQNR
            does not matter: where all classes are nearly equal there is no signal to hold it to.
    """

    json_keys = """
        max_abs min_logit_sqnr_db min_sqnr_db min_top1_agreement reason min_sure_agreement?
        negligible_logit_error? min_coarse_logit_sqnr_db? min_half_logit_sqnr_db?
    """

    reason: str
    max_abs: float | None = None
    min_logit_sqnr_db: float | None = None
    min_sqnr_db: float | None = None
    min_top1_agreement: float | None = None
    min_sure_agreement: float | None = None
    negligible_logit_error: float | None = None
    min_coarse_logit_sqnr_db: float | None = None
    min_half_logit_sqnr_db: float | None = None

    @property
    def is_of_logits(self) -> bool:
        """Whether it holds the logits to something, of probabilities in half precision too."""
        return self.min_logit_sqnr_db is not None or self.min_half_logit_sqnr_db is not None

    @property
    def demands_nothing(self) -> bool:
        """Whether there is no limit at all."""
        limits = self.max_abs, self.min_logit_sqnr_db, self.min_sqnr_db, self.min_top1_agreement
        coarse = self.min_coarse_logit_sqnr_db, self.min_half_logit_sqnr_db
        further = (self.min_sure_agreement, *coarse)
        return all(limit is None for limit in (*limits, *further))

    def violations(self, metrics: ParityMetrics, labels: Sequence[str] = ()) -> tuple[str, ...]:
        """What is out of tolerance, a clause each; empty for a pass. A NaN never passes."""
        found = [] if metrics.finite else ["NaN or infinity in the output"]
        if self.max_abs is not None and not metrics.max_abs <= self.max_abs:
            found.append(f"max abs {metrics.max_abs:.2g} is above {self.max_abs:g}")
        for name, actual, smallest in (
            ("SQNR of the logits", metrics.logit_sqnr_db, self._least_logit_sqnr_db(metrics)),
            ("SQNR of the probabilities", metrics.sqnr_db, self.min_sqnr_db),
            (
                "SQNR of the logits in 256ths",
                metrics.coarse_logit_sqnr_db,
                self.min_coarse_logit_sqnr_db,
            ),
            (
                "SQNR of the logits in half precision",
                metrics.half_logit_sqnr_db,
                self.min_half_logit_sqnr_db,
            ),
        ):
            if smallest is not None and not actual >= smallest:
                found.append(f"{name} {decibels(actual)} is below {smallest:g} dB")
        share = self.min_top1_agreement
        if share is not None and not metrics.top1_agreement >= share:
            found.append(f"top-1 agreement {metrics.top1_agreement:.2%} is below {share:.2%}")
        return (*found, *self._choices(metrics.choices, labels))

    def _least_logit_sqnr_db(self, metrics: ParityMetrics) -> float | None:
        """None where the logits' differences are negligible."""
        negligible = metrics.logit_rms_error <= (self.negligible_logit_error or 0.0)
        return None if negligible else self.min_logit_sqnr_db

    def _choices(self, choices: Choices | None, labels: Sequence[str]) -> Iterator[str]:
        """What is wrong with the classes that a file chooses."""
        if choices is None or self.demands_nothing:
            return
        if choices.is_constant:
            yield "its answers do not depend on the image"
        if choices.lost_classes:
            lost = choices.lost_classes[:NAMED_CLASSES]
            named = ", ".join(labels[index] if labels else str(index) for index in lost)
            yield f"it never gives class {named}, which the reference does"
        least = self.min_sure_agreement
        if least is not None and choices.is_surely_below(least):
            found = f"{choices.hits} of {choices.images} images"
            yield f"best class the same on {found}, surely below {least:.0%}"


@dataclass(frozen=True, slots=True)
class LayerSqnr:
    """The least SQNR that healthy layers have, in dB.

    Attributes:
        convolution: Of convolutions and of the mean subtraction.
        fully_connected: Of fully connected layers.
    """

    convolution: float
    fully_connected: float

    def of(self, layer: Layer) -> float:
        """That of one layer; infinite where nothing is rounded."""
        if layer.kind.keeps_values or layer.name == OUTPUT_NAME:
            return math.inf
        return self.fully_connected if layer.is_matrix else self.convolution
