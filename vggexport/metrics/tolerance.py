"""How far a candidate may be from its reference, and why so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vggexport.network.layers import OUTPUT_NAME, Layer
from vggexport.system.json_values import JsonValue

if TYPE_CHECKING:  # it needs numpy, and every precision has tolerances
    from vggexport.metrics.parity import ParityMetrics


@dataclass(frozen=True, slots=True)
class Tolerance(JsonValue):
    """What a candidate must reach, and why that value.

    Attributes:
        max_abs: Largest difference of one probability allowed.
        min_logit_sqnr_db: Smallest SQNR of the logits allowed.
        min_sqnr_db: Smallest SQNR of the probabilities allowed.
        min_top1_agreement: Smallest share of images with the same best class allowed, 0...1.
        reason: Where the values come from.
    """

    json_keys = "max_abs min_logit_sqnr_db min_sqnr_db min_top1_agreement reason"

    reason: str
    max_abs: float | None = None
    min_logit_sqnr_db: float | None = None
    min_sqnr_db: float | None = None
    min_top1_agreement: float | None = None

    def violations(self, metrics: ParityMetrics) -> tuple[str, ...]:
        """What is out of tolerance, a clause each; empty for a pass. A NaN never passes."""
        found = [] if metrics.finite else ["NaN or infinity in the output"]
        if self.max_abs is not None and not metrics.max_abs <= self.max_abs:
            found.append(f"max abs {metrics.max_abs:.2g} is above {self.max_abs:g}")
        for name, actual, smallest in (
            ("SQNR of the logits", metrics.logit_sqnr_db, self.min_logit_sqnr_db),
            ("SQNR of the probabilities", metrics.sqnr_db, self.min_sqnr_db),
        ):
            if smallest is not None and not actual >= smallest:
                found.append(f"{name} {actual:.1f} dB is below {smallest:g} dB")
        share = self.min_top1_agreement
        if share is not None and not metrics.top1_agreement >= share:
            found.append(f"top-1 agreement {metrics.top1_agreement:.2%} is below {share:.2%}")
        return tuple(found)


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
