"""What a network of given widths is going to answer, before it is made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vggexport.network.spec import VGGSpec
from vggexport.pruning.elimination import Elimination
from vggexport.pruning.gains import half
from vggexport.pruning.widths import Widths, prunable

REFITTED = 1.0
"""What refitting after the ReLU leaves of the error that the elimination expects: with 1 a trained
VGG-D met its plan within 0.3 dB (docs/pruning.md)."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """Errors by width, in units of the logits.

    Attributes:
        spec: The network.
        eliminations: By layer's name.
        measured: Squared error of the logits over their power when a layer has half its channels.
    """

    spec: VGGSpec
    eliminations: Mapping[str, Elimination]
    measured: Mapping[str, float]

    def error(self, name: str, width: int) -> float:
        """What that width of a layer adds, as a share of the logits' power."""
        elimination = self.eliminations[name]
        expected = elimination.error_at(half(self.spec.layer(name)))
        if not expected:
            return 0.0
        return REFITTED * self.measured[name] * elimination.error_at(width) / expected

    def logit_sqnr_db(self, widths: Widths) -> float:
        """SQNR of the logits against the network as it is; errors of layers add up."""
        noise = sum(self.error(name, width) for name, width in widths.items())
        return -10 * math.log10(noise) if noise else math.inf

    def kept(self, widths: Widths) -> dict[str, NDArray[np.intp]]:
        """The channels of each layer that is to be narrower."""
        own = {layer.name: layer.kernel.shape[-1] for layer in prunable(self.spec)}
        return {
            name: self.eliminations[name].kept(width)
            for name, width in widths.items()
            if width < own[name]
        }
