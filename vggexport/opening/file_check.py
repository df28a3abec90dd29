"""The check of what was written: the file itself, run against its reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.formats.registry import load_inspector, load_runner
from vggexport.formats.runner import Runner
from vggexport.metrics.parity import compare, probabilities_of
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.layers import LOGITS_NAME, OUTPUT_NAME
from vggexport.network.provenance import PruningRecord
from vggexport.network.rescaling import output_scales
from vggexport.opening.same_network import pruning_between
from vggexport.precision import Precision, coarser
from vggexport.quantization.audit import Operator, float_islands, float_operators
from vggexport.results.build import CheckReport
from vggexport.system.machine import sums_in_half


def tolerance_between(
    reference: Artifact, candidate: Artifact, *, on_cpu: bool = True
) -> Tolerance:
    """How far two files may be from each other: as far as the coarser of them is from float32.

    One that was made narrower from the other may besides be as far as was promised.
    """
    profile = coarser(reference.profile, candidate.profile)
    coarse = [file for file in (reference, candidate) if file.profile is profile]
    rounding = _rounding(*coarse) if on_cpu else profile.tolerance
    if pruning := pruning_between(reference, candidate):
        return _promised(pruning, rounding)
    if profile.same_integers and same_integers(reference, candidate):
        return profile.same_integers
    return profile.against_others or rounding


def _promised(pruning: PruningRecord, rounding: Tolerance) -> Tolerance:
    """The errors of both added up, as they have nothing to do with each other."""
    limit = rounding.min_logit_sqnr_db
    if limit is None:
        return rounding
    promised = pruning.promised_logit_sqnr_db
    least = -10 * math.log10(sum(10 ** (-db / 10) for db in (promised, limit)))
    return Tolerance(
        f"pruning promised {promised:g} dB of {pruning.source}, to which rounding adds its error",
        min_logit_sqnr_db=round(least, 1),
    )


def same_integers(reference: Artifact, candidate: Artifact) -> bool:
    """Whether two files carry the same integers: those of one precision and one calibration."""
    same = reference.precision is candidate.precision and reference.profile.same_integers
    files = (reference, candidate)
    alike = [(a.calibration, a.symmetric, a.target, a.activation_bits) for a in files]
    return bool(same) and alike[0] == alike[1]


def _rounding(*files: Artifact) -> Tolerance:
    """How far files of one precision are from float32 on this processor."""
    profile = files[0].profile
    if profile.precision is not Precision.FLOAT16 or not sums_in_half():
        return profile.tolerance
    here = (profile.on_other_kernels.get(file.format) for file in files)
    return next(filter(None, here), profile.tolerance)


def tolerance_for(artifact: Artifact, min_logit_sqnr_db: float | None) -> Tolerance:
    """The precision's tolerance, or the same with the SQNR that the user demands."""
    tolerance = _rounding(artifact)
    if min_logit_sqnr_db is None:
        return tolerance
    return Tolerance(
        "as asked for",
        tolerance.max_abs,
        min_logit_sqnr_db,
        tolerance.min_sqnr_db,
        tolerance.min_top1_agreement,
    )


def check_file(
    path: Path,
    artifact: Artifact,
    images: NDArray[np.uint8],
    reference: NDArray[np.float32],
    tolerance: Tolerance,
    *,
    reference_name: str,
) -> CheckReport:
    """Runs a file just written and holds it to its reference.

    Args:
        path: The file, wherever it is now.
        artifact: What it is to be.
        images: uint8 (images, size, size, 3).
        reference: Probabilities for them, (images, classes).
        tolerance: How far it may be.
        reference_name: What gave those.
    """
    activation = artifact.spec.head_activation
    names = [OUTPUT_NAME, LOGITS_NAME] if artifact.full_integer else [OUTPUT_NAME]
    with load_runner(artifact.format)(path) as runner:
        outputs = read(runner, images, names, artifact.batch or 1)
    candidate, softmax_error = outputs[OUTPUT_NAME], None
    if artifact.full_integer:
        candidate = probabilities_of(outputs[LOGITS_NAME], activation)
        softmax_error = float(np.abs(outputs[OUTPUT_NAME] - candidate).max())
    return CheckReport(
        reference_name,
        len(images),
        compare(reference, candidate, activation),
        tolerance,
        _islands(path, artifact),
        softmax_error,
        labels=artifact.labels,
    )


def _islands(path: Path, artifact: Artifact) -> tuple[Operator, ...]:
    """What computes in float and should not, in files that are to compute in integers here.

    Symmetric ones are for TensorRT: ONNX Runtime's CPU fuses no ReLU without a zero point for it.
    The last layer of those for Qualcomm's NPUs is in float, and with 16-bit activations all are.
    """
    if not artifact.profile.needs_ranges or artifact.symmetric or artifact.target:
        return ()
    operators = load_inspector(artifact.format)(path).operators
    return float_operators(operators) if artifact.full_integer else float_islands(operators)


def read(
    runner: Runner, images: NDArray[Any], names: Sequence[str], batch: int
) -> dict[str, NDArray[np.float32]]:
    """Layers' outputs for any number of images, as they are without any rescaling.

    Images are uint8 or float32 (images, height, width, 3), at least one; the runner is entered.
    """
    parts = [runner.activations(part, names) for part in _batches(images, batch)]
    outputs = {name: np.concatenate([p[name] for p in parts])[: len(images)] for name in names}
    if runner.artifact and runner.artifact.rescaled:
        scales = output_scales(runner.artifact.spec, runner.artifact.rescaled)
        outputs |= {name: values / np.float32(scales[name]) for name, values in outputs.items()}
    return outputs


def _batches(images: NDArray[Any], batch: int) -> list[NDArray[Any]]:
    """The images in batches that the file takes; the last is filled up by repeating images."""
    count = -(-len(images) // batch) * batch
    filled = images[np.arange(count) % len(images)]
    return np.split(filled, count // batch)
