"""Another convention for pixels than the one a file was made for, told by its reference's answers.

The file's weights are run under another: under the reference's where that records one, under each
where it is the owner's own answers, which say nothing of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vggexport.diagnosis.case import Case
from vggexport.diagnosis.outputs import OutputFault
from vggexport.errors import ArtifactError
from vggexport.metrics.parity import ParityMetrics, compare
from vggexport.network.preprocessing import Preprocessing, any_of
from vggexport.opening.foreign import APART_DB
from vggexport.opening.own_weights import OwnWeights
from vggexport.results.diagnosis import Trial
from vggexport.system.number_text import counted

SCREENED_IMAGES = 2
CLOSEST = 2
"""Conventions that are run on all images, at least: the best, and the next."""


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A convention, and what the file's weights give under it."""

    convention: Preprocessing
    answers: NDArray[np.float32]
    metrics: ParityMetrics
    value_db: float


def preprocessing_trials(case: Case) -> Iterator[Trial]:
    """The convention under which a file's weights come nearest to its reference's answers.

    Where the reference records one, only that is tried, and only where the file records another. It
    explains the difference if it does so within the tolerance, and the file's own is
    :data:`~vggexport.opening.foreign.APART_DB` worse. Others that are not are named beside it, and
    none of them is the fix. There is no trial where it is the file's own.
    """
    wanted, own = (m.artifact.preprocessing for m in (case.reference, case.candidate))
    is_same = wanted and own and wanted.affine == own.affine
    is_told = case.reference.computes or wanted is not None
    if own is None or is_same or case.candidate.artifact.foreign or (is_told and wanted is None):
        return
    with suppress(ArtifactError):  # of weights that a broken file does not let be read
        weights = OwnWeights(case.candidate, own)
        tried: Sequence[Preprocessing] = (own, wanted) if wanted else weights.conventions
        for count in (SCREENED_IMAGES, len(case.images)):
            found = _nearest_first(case.first(count), weights, tried)
            alike = [one for one in found if not found[0].value_db - one.value_db >= APART_DB]
            tried = [one.convention for one in found[: max(CLOSEST, len(alike))]]
        if alike[0].convention is not own:
            yield _trial(case, own, alike, is_told=is_told)


def _nearest_first(case: Case, weights: OwnWeights, tried: Sequence[Preprocessing]) -> list[_Found]:
    found = []
    for convention in tried:
        answers = weights.probabilities(case.images, convention)
        metrics = compare(case.expected, answers, case.activation)
        value_db = case.value_db(metrics)
        found.append(
            _Found(convention, answers, metrics, -math.inf if math.isnan(value_db) else value_db)
        )
    return sorted(found, key=lambda one: -one.value_db)


def _trial(case: Case, own: Preprocessing, alike: Sequence[_Found], *, is_told: bool) -> Trial:
    """The trial of the nearest convention, and of those that are as near where it explains."""
    best = alike[0]
    same = round(best.metrics.top1_agreement * len(case.images))

    def clause(words: str) -> str:
        theirs = ", as for the reference," if is_told else ""
        return (
            f"was made for {own.told}; with {words}{theirs} its weights agree with "
            f"{case.reference.path} "
            f"({best.value_db:.1f} dB, the same best class on {same} of "
            f"{counted(len(case.images), 'image')})"
        )

    fault = OutputFault(
        "other-preprocessing",
        clause(best.convention.words),
        f"export it again with preprocessing {best.convention.words}",
        lambda expected, _actual: (expected, best.answers),
    )
    trial = case.output_trial(fault, case.expected, best.answers)
    conventions = [one.convention for one in alike]
    explains = trial.explains and own not in conventions
    if is_told:  # by two files, of which either may be wrong
        fix = "ask which of the two its training used, and export the other file again with that"
        return replace(trial, explains=explains, fix=fix)
    if not explains or len(alike) == 1:
        return replace(trial, explains=explains, preprocessing=best.convention)
    told = clause(any_of(*(one.words for one in conventions)))
    return replace(
        trial,
        description=f"{case.candidate.path} {told}, and these answers cannot tell which",
        fix="ask which of them its training used, and export it again with that one",
    )
