"""Why a file failed, as frozen values: the known mistakes that were tried, and what each gained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vggexport.network.preprocessing import Preprocessing
from vggexport.system.json_values import Finite, JsonValue


@dataclass(frozen=True, slots=True)
class SuspiciousLayer(JsonValue):
    """The first layer whose SQNR falls by more than its neighbours explain.

    Attributes:
        name: The layer.
        sqnr_db: Its SQNR.
        expected_db: What the layers around it make one expect.
    """

    name: str
    sqnr_db: Finite
    expected_db: Finite


@dataclass(frozen=True, slots=True)
class Trial(JsonValue):
    """One known mistake, and how well it explains what a file gives.

    Attributes:
        fault: Its short name, such as "channels-swapped".
        description: What it is, a clause: "the file takes BGR where RGB is fed".
        figure: What was measured, such as "SQNR of the logits".
        without_db: That figure with the file as it is.
        with_db: The same once the mistake is made up for.
        explains: Whether that is as near as a healthy file is, clearly nearer than the file as it
            is, and nearer than with any other mistake made up for.
        fix: What to do about it.
        layer: The layer at fault, where it is one.
        preprocessing: What the file is to be exported again with, where that is the fix.
    """

    json_keys = "fault description layer figure without_db with_db explains fix preprocessing?"

    fault: str
    description: str
    figure: str
    without_db: Finite
    with_db: Finite
    explains: bool
    fix: str
    layer: str | None = None
    preprocessing: Preprocessing | None = None

    @property
    def gain_db(self) -> float:
        """How much nearer the file comes; where it gives NaN, anything is nearer."""
        return self.with_db - (-math.inf if math.isnan(self.without_db) else self.without_db)


NEAREST = 3
"""Mistakes that are named where none explains the difference."""


@dataclass(frozen=True, slots=True)
class Diagnosis(JsonValue):
    """Why a file failed.

    Attributes:
        trials: Every mistake that was tried, in order.
        images: On how many images.
        suspicious: The first layer that stands out on them, where layers were looked at.
    """

    json_keys = "fault=named images tried=trials"

    trials: tuple[Trial, ...]
    images: int
    suspicious: SuspiciousLayer | None = None

    @property
    def named(self) -> Trial | None:
        """The mistake that explains the difference, or None: the first of those that do."""
        return next((trial for trial in self.trials if trial.explains), None)

    @property
    def nearest(self) -> tuple[Trial, ...]:
        """The mistakes that gain most, or lose least, when they are undone, the best first."""
        measured = [trial for trial in self.trials if not math.isnan(trial.gain_db)]
        ordered = sorted(measured, key=lambda trial: -trial.gain_db)
        return tuple(ordered[:NEAREST])
