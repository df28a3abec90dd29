"""The check of what was written: the file itself, run against its reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.formats.registry import KERAS, load_inspector, load_runner
from vggexport.formats.runner import Runner
from vggexport.metrics.parity import compare, softmax
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.layers import LOGITS_NAME, OUTPUT_NAME
from vggexport.opening.network import Network
from vggexport.precision import Precision
from vggexport.quantization.audit import Operator, float_islands, float_operators
from vggexport.results.build import CheckReport

TOLERANCES: Mapping[Precision, Tolerance] = {
    Precision.FLOAT32: Tolerance(
        "both compute in float32 and differ by the order of summation alone: 200 photographs near "
        "the decision boundaries of a trained network measured 1.7e-5 at most (LiteRT, which sums "
        "in one piece), and 96 dB at least",
        max_abs=1e-4,
        min_logit_sqnr_db=80.0,
    ),
    Precision.FLOAT16: Tolerance(
        "11-bit significands through 16 layers: measured 58 dB and more",
        min_logit_sqnr_db=45.0,
    ),
    Precision.DYNAMIC_INT8: Tolerance(
        "8-bit weights, and activations rounded to 8 bits image by image: the worst of 1,000 sets "
        "of 8 unseen photographs measured 22 dB, swapped channels 4 dB",
        min_logit_sqnr_db=15.0,
    ),
    Precision.INT8: Tolerance(
        "8-bit weights and activations: the worst of 2,000 sets of 8 unseen photographs measured "
        "16 dB over all calibration methods; files with quantized logits measured -2 dB",
        min_logit_sqnr_db=12.0,
    ),
    Precision.INT8_W4: Tolerance(
        "4-bit weights in the fully connected layers: the worst of 1,000 sets of 8 unseen "
        "photographs measured 11.3 dB, random networks 10.5 dB, swapped channels 4 dB",
        min_logit_sqnr_db=8.0,
    ),
}
"""What a file just written must reach."""

FULL_INTEGER = Tolerance(
    "as int8, with logits in 8 bits: the worst of 500 sets of 8 unseen photographs measured 20 dB; "
    "with logits far beyond those of the calibration, which are clipped, 7.6 dB",
    min_logit_sqnr_db=12.0,
)
"""The same for int8 without any float operator. Its metrics are those of a float softmax on its own
logits: its probabilities are whole 256ths, from which no logit can be told."""


SAME_INTEGERS: Mapping[Precision, Tolerance] = {
    Precision.INT8: Tolerance(
        "the same integers, rounded after each layer in the way of the runtime: 200 photographs "
        "measured 68 dB",
        min_logit_sqnr_db=35.0,
    ),
    Precision.INT8_W4: Tolerance(
        "the same integers, with activations of the fully connected layers quantized by image in "
        "one runtime and by block in the other: 200 photographs measured 36 dB",
        min_logit_sqnr_db=25.0,
    ),
}
"""What two files that carry the same integers must reach against each other."""

FULL_INTEGER_OUTPUT = Tolerance(
    "probabilities in whole 256ths, from which no logit can be told: the worst of 1,000 sets of 8 "
    "unseen photographs measured 8.9 dB, swapped channels 1 dB",
    min_sqnr_db=6.0,
)
"""What the output of a file without float operators must reach against any other."""


def tolerance_between(reference: Artifact, candidate: Artifact) -> Tolerance:
    """How far two files may be from each other: as far as the coarser of them is from float32."""
    if reference.full_integer or candidate.full_integer:
        return FULL_INTEGER_OUTPUT
    precision = coarser(reference, candidate)
    return (SAME_INTEGERS if same_integers(reference, candidate) else TOLERANCES)[precision]


def coarser(reference: Artifact, candidate: Artifact) -> Precision:
    """The coarser of two precisions."""
    return max(reference.precision, candidate.precision, key=list(TOLERANCES).index)


def same_integers(reference: Artifact, candidate: Artifact) -> bool:
    """Whether two files carry the same integers: those of one precision and one calibration."""
    same = reference.precision is candidate.precision and reference.precision in SAME_INTEGERS
    return same and reference.calibration == candidate.calibration


def tolerance_for(artifact: Artifact, min_logit_sqnr_db: float | None) -> Tolerance:
    """The precision's tolerance, or the same with the SQNR that the user demands."""
    tolerance = FULL_INTEGER if artifact.full_integer else TOLERANCES[artifact.precision]
    if min_logit_sqnr_db is None:
        return tolerance
    return replace(tolerance, min_logit_sqnr_db=min_logit_sqnr_db, reason="as asked for")


def keras_reference(network: Network, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities of the Keras network, the reference of float files."""
    with load_runner(KERAS)(network.spec, network.weights) as runner:
        return runner.predict(images)


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
    names = [OUTPUT_NAME, LOGITS_NAME] if artifact.full_integer else [OUTPUT_NAME]
    with load_runner(artifact.format)(path) as runner:
        outputs = read(runner, images, names, artifact.batch or 1)
    candidate, softmax_error = outputs[OUTPUT_NAME], None
    if artifact.full_integer:
        candidate = softmax(outputs[LOGITS_NAME])
        softmax_error = float(np.abs(outputs[OUTPUT_NAME] - candidate).max())
    return CheckReport(
        reference_name,
        len(images),
        compare(reference, candidate),
        tolerance,
        _islands(path, artifact),
        softmax_error,
    )


def _islands(path: Path, artifact: Artifact) -> tuple[Operator, ...]:
    """What computes in float and should not, in files that are to compute in integers."""
    if not artifact.precision.needs_ranges:
        return ()
    operators = load_inspector(artifact.format)(path).operators
    return float_operators(operators) if artifact.full_integer else float_islands(operators)


def read(
    runner: Runner, images: NDArray[np.uint8], names: Sequence[str], batch: int
) -> dict[str, NDArray[np.float32]]:
    """Layers' outputs for any number of images.

    Args:
        runner: Entered.
        images: uint8 (images, size, size, 3), at least one.
        names: Layers.
        batch: Images at a time.
    """
    parts = [runner.activations(part, names) for part in _batches(images, batch)]
    return {name: np.concatenate([p[name] for p in parts])[: len(images)] for name in names}


def _batches(images: NDArray[np.uint8], batch: int) -> list[NDArray[np.uint8]]:
    """The images in batches that the file takes; the last is filled up by repeating images."""
    count = -(-len(images) // batch) * batch
    filled = images[np.arange(count) % len(images)]
    return np.split(filled, count // batch)
