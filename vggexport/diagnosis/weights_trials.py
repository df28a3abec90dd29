"""What the weights of a file that failed say, if some of them are not the reference's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vggexport.diagnosis.case import Case
from vggexport.diagnosis.weights import KernelDifference, compare_weights, tensor_sqnr_db
from vggexport.network.preprocessing import Preprocessing
from vggexport.precision import Profile, coarser
from vggexport.results.diagnosis import Trial

LISTED_LAYERS = 4


def weights_trials(case: Case) -> Iterator[Trial]:
    """What the weights say, if some of them are not the reference's."""
    reference, candidate = case.reference, case.candidate
    profile = coarser(reference.artifact.precision.profile, candidate.artifact.precision.profile)
    compared = compare_weights(
        reference.artifact.spec, reference.weights(), candidate.weights(), profile
    )
    others, pixels = compared.differences, ""
    if others and _is_first_remade(case, others[0], profile):
        others, pixels = others[1:], "; it was made for other pixels, too"
    kinds = (
        ("layers-permuted", [d for d in others if d.is_layer]),
        ("kernel-layout", [d for d in others if d.found and not d.is_layer]),
        ("stale-weights", [d for d in others if not d.found]),
    )
    for fault, differences in kinds:
        if differences:
            trial = _weights_trial(case, fault, differences, compared.same_db)
            yield replace(trial, description=f"{trial.description}{pixels}")


def _is_first_remade(case: Case, difference: KernelDifference, profile: Profile) -> bool:
    """Whether first kernels differ as their files record it of pixels: the trained ones do not."""
    first = case.reference.artifact.spec.weighted_layers[0]
    wanted, made_for = (m.artifact.preprocessing for m in (case.reference, case.candidate))
    if difference.layer != first.name or wanted is None or made_for is None:
        return False
    right, kernel = (m.weights()[first.kernel.name] for m in (case.reference, case.candidate))
    return tensor_sqnr_db(right, _remade(kernel, made_for, wanted)) >= profile.kernels.of(first)


def _remade(
    kernel: NDArray[np.float32], made_for: Preprocessing, wanted: Preprocessing
) -> NDArray[np.float32]:
    """A first kernel as it would be for other pixels."""
    divisors = (np.array(one.std_rgb, np.float32)[:, np.newaxis] for one in (made_for, wanted))
    own, other = divisors
    trained = (kernel * own)[:, :, list(made_for.order)]  # which is its own inverse
    return trained[:, :, list(wanted.order)] / other


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
