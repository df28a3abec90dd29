"""What the weights of a file that failed say, if some of them are not the reference's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vggexport.diagnosis.case import Case
from vggexport.diagnosis.weights import KernelDifference, compare_weights
from vggexport.precision import coarser
from vggexport.results.diagnosis import Trial

LISTED_LAYERS = 4


def weights_trials(case: Case) -> Iterator[Trial]:
    """What the weights say, if some of them are not the reference's."""
    reference, candidate = case.reference, case.candidate
    profile = coarser(reference.artifact.precision.profile, candidate.artifact.precision.profile)
    compared = compare_weights(
        reference.artifact.spec, reference.weights(), candidate.weights(), profile
    )
    kinds = (
        ("layers-permuted", [d for d in compared.differences if d.is_layer]),
        ("kernel-layout", [d for d in compared.differences if d.found and not d.is_layer]),
        ("stale-weights", [d for d in compared.differences if not d.found]),
    )
    for fault, differences in kinds:
        if differences:
            yield _weights_trial(case, fault, differences, compared.same_db)


def _weights_trial(
    case: Case, fault: str, differences: Sequence[KernelDifference], same_db: float
) -> Trial:
    found_db = min(d.found_db for d in differences) if differences[0].found else same_db
    return Trial(
        fault,
        f"{case.candidate.path} {_WEIGHTS_FAULTS[fault]} {_listed(differences)}",
        "SQNR of the kernels",
        min(d.sqnr_db for d in differences),
        found_db,
        explains=True,
        fix=f"export it again from the weights that {case.reference.path} was made of",
        layer=differences[0].layer,
    )


_WEIGHTS_FAULTS = {
    "layers-permuted": "has weights of other layers:",
    "kernel-layout": "has kernels in another layout:",
    "stale-weights": "has other weights than the reference in",
}
"""What a file has, by the fault's name, in front of the layers."""


def _listed(differences: Sequence[KernelDifference]) -> str:
    """The layers, and what is in them, as far as that is known."""
    named = [
        f"{d.layer} ({'those of ' if d.is_layer else ''}{d.found})" if d.found else d.layer
        for d in differences[:LISTED_LAYERS]
    ]
    more = len(differences) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
