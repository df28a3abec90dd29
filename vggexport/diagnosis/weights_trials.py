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
    pixels, others = _other_pixels(case, compared.differences, profile), compared.differences
    if pixels:
        yield replace(pixels, explains=len(others) == 1)
        others = others[1:]
    kinds = (
        ("layers-permuted", [d for d in others if d.is_layer]),
        ("kernel-layout", [d for d in others if d.found and not d.is_layer]),
        ("stale-weights", [d for d in others if not d.found]),
    )
    for fault, differences in kinds:
        if differences:
            trial = _weights_trial(case, fault, differences, compared.same_db)
            both = f"{trial.description}; and {pixels.description}" if pixels else ""
            yield replace(trial, description=both or trial.description)


def _other_pixels(
    case: Case, differences: Sequence[KernelDifference], profile: Profile
) -> Trial | None:
    """That first kernels differ as their files record it of pixels: the trained ones are the same.

    Which of the two is right weights do not tell.
    """
    first = case.reference.artifact.spec.weighted_layers[0]
    wanted, made_for = (m.artifact.preprocessing for m in (case.reference, case.candidate))
    is_first = bool(differences) and differences[0].layer == first.name
    if not is_first or wanted is None or made_for is None or wanted.affine == made_for.affine:
        return None
    right, kernel = (m.weights()[first.kernel.name] for m in (case.reference, case.candidate))
    same_db = tensor_sqnr_db(right, _remade(kernel, made_for, wanted))
    if not same_db >= profile.kernels.of(first):
        return None
    return Trial(
        "other-preprocessing",
        f"{case.candidate.path} was made for {made_for.told}, and {case.reference.path} for "
        f"{wanted.told}, of the same weights",
        "SQNR of the first kernel",
        differences[0].sqnr_db,
        same_db,
        explains=True,
        fix="ask which of the two its training used, and export the other file again with that one",
    )


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
