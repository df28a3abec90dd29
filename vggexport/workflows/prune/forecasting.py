"""What the images say of the network, computed once and kept on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from vggexport.pruning.elimination import Elimination
from vggexport.pruning.gains import measure
from vggexport.pruning.keeping import kept
from vggexport.pruning.plan import Forecast
from vggexport.pruning.survey import Survey
from vggexport.pruning.widths import prunable
from vggexport.system.progress import Steps

BATCH = 8
"""Images at a time: 100 MB of one layer's outputs."""
MEASURED_IMAGES = 16
"""Images that layers are measured on: each costs as much as seven through the network."""


def forecast(
    survey: Survey, images: NDArray[np.uint8], checked: NDArray[np.uint8], steps: Steps
) -> Forecast:
    """Surveys the images, orders the channels and measures the layers, as far as that is not done.

    All images are uint8 (images, height, width, 3): channels are chosen by some, and layers are
    measured on the ``checked`` ones.
    """
    if not survey.is_done:
        with steps.step("survey"):
            for done in survey.run(batches(images)):
                steps.progress.advance(done, len(images))
    spec = survey.network.spec
    pairs = [(one, behind) for one, behind in survey.network.pairs if one in prunable(spec)]
    with steps.step("eliminate"):
        eliminations = {
            layer.name: survey.eliminate(layer, behind)
            for layer, behind in steps.track(iter(pairs), len(pairs))
        }
    with steps.step("measure layers"):
        measured = kept(
            survey.folder / "measured.npz",
            lambda: _measured(survey, eliminations, checked[:MEASURED_IMAGES], steps),
        )
    return Forecast(spec, eliminations, {name: float(share) for name, share in measured.items()})


def batches(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """:data:`BATCH` of them at a time."""
    return (images[first : first + BATCH] for first in range(0, len(images), BATCH))


def _measured(
    survey: Survey,
    eliminations: Mapping[str, Elimination],
    checked: NDArray[np.uint8],
    steps: Steps,
) -> dict[str, NDArray[np.float64]]:
    """By layer, the share of the logits' power that half its channels cost."""
    errors: Mapping[str, float] = {}
    for found in measure(survey, eliminations, batches(checked)):
        steps.progress.advance(found.images, len(checked))
        errors = found.errors
    return {name: np.array(error) for name, error in errors.items()}
