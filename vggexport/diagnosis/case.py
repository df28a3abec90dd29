"""A file that failed, and what a trial measures on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vggexport.diagnosis.images import ImageFault
from vggexport.diagnosis.outputs import OutputFault
from vggexport.metrics.parity import ParityMetrics, compare
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.head import HeadActivation
from vggexport.opening.models import OpenedModel
from vggexport.results.diagnosis import Trial
from vggexport.system.number_text import counted

CLEAR_GAIN_DB = 3.0
"""What making up for a mistake must gain, at least, over the file as it is: half of the
error's power is gone then, so that the mistake put more there than all else together. Where it
was not made, making up for it adds an error of its own."""

WORST_IMAGES_DB = 3.0
"""What the worst images may stay below the limit, which is that of all images together: on them a
healthy file has twice the error's power."""

LOSSY_GAIN_DB = 10.0
"""What it must gain where the mistake loses something, or was fitted to the answers."""

CLEAR_SQNR_DB = 15.0
"""And what it must reach: runtimes round differently when they resize, so that it gets no nearer
than about 20 dB to a file that does; other mistakes measured 8 dB at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A file that failed, and what it gave for a few images.

    Images are uint8 (images, size, size, 3), RGB; the tolerance is what healthy files of its
    precision reach; ``together`` is what all images give, of which these are the worst.
    """

    reference: OpenedModel
    candidate: OpenedModel
    images: NDArray[np.uint8]
    tolerance: Tolerance
    together: ParityMetrics
    expected: NDArray[np.float32]
    actual: NDArray[np.float32]

    @property
    def activation(self) -> HeadActivation:
        """What the reference ends in, and the file should."""
        return self.reference.artifact.spec.head_activation

    @property
    def figure(self) -> str:
        """What is measured at the output."""
        logits = self.tolerance.is_of_logits
        return f"SQNR of the {'logits' if logits else 'probabilities'} {self.where}"

    @property
    def where(self) -> str:
        """On what it is measured, which is not what the file is judged by."""
        return f"on the {counted(len(self.images), 'worst image')}"

    def value_db(self, metrics: ParityMetrics) -> float:
        """The figure's value."""
        if self.tolerance.min_half_logit_sqnr_db is not None:
            return metrics.half_logit_sqnr_db
        return metrics.logit_sqnr_db if self.tolerance.is_of_logits else metrics.sqnr_db

    def first(self, count: int) -> Case:
        """The same with some of the images only."""
        return replace(
            self,
            images=self.images[:count],
            expected=self.expected[:count],
            actual=self.actual[:count],
        )

    def output_trial(
        self,
        fault: ImageFault | OutputFault,
        expected: NDArray[np.float32],
        actual: NDArray[np.float32],
        *,
        least_gain_db: float = CLEAR_GAIN_DB,
    ) -> Trial:
        """The trial of a fault, from what reference and file give once it is made up for."""
        before = self.value_db(compare(self.expected, self.actual, self.activation))
        after = self.value_db(compare(expected, actual, self.activation))
        trial = Trial(
            fault.name,
            f"{self.candidate.path} {fault.description}",
            self.figure,
            before,
            after,
            explains=False,
            fix=fault.fix,
        )
        return replace(trial, explains=self._explains(trial, least_gain_db, is_lossy=fault.lossy))

    def _explains(self, trial: Trial, least_gain_db: float, *, is_lossy: bool) -> bool:
        limits = self.tolerance
        logits = limits.min_logit_sqnr_db or limits.min_half_logit_sqnr_db
        least = logits or limits.min_sqnr_db or 0.0
        if trial.with_db < self.value_db(self.together) - WORST_IMAGES_DB:
            return False  # a file that is good but for a few images is not made worse than it is
        if trial.gain_db >= least_gain_db and trial.with_db >= least - WORST_IMAGES_DB:
            return True
        return is_lossy and trial.gain_db >= LOSSY_GAIN_DB and trial.with_db >= CLEAR_SQNR_DB
