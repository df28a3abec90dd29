"""The check of what was written: the file itself, run against its reference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport import registry
from vggexport.artifact import Artifact
from vggexport.inspectors import INSPECTORS
from vggexport.parity import Tolerance, compare
from vggexport.quantization.audit import Operator, float_islands
from vggexport.reports.results import CheckReport
from vggexport.runners import RUNNERS
from vggexport.runners.interface import Runner
from vggexport.spec import Precision
from vggexport.workflows.network import Network

TOLERANCES: Mapping[Precision, Tolerance] = {
    Precision.FLOAT32: Tolerance(
        "both compute in float32 and differ by the order of summation alone",
        max_abs=1e-5,
        min_logit_sqnr_db=80.0,
    ),
    Precision.FLOAT16: Tolerance(
        "11-bit significands through 16 layers",
        min_logit_sqnr_db=45.0,
    ),
    Precision.INT8: Tolerance(
        "8-bit weights and activations; losing one bit costs 6 dB",
        min_logit_sqnr_db=20.0,
    ),
}


def keras_reference(network: Network, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities of the Keras network, the reference of float files."""
    runner: Runner = registry.load(RUNNERS, "keras")(network.spec, network.weights)
    with runner:
        return runner.predict(images)


def check_file(
    path: Path,
    artifact: Artifact,
    images: NDArray[np.uint8],
    reference: NDArray[np.float32],
    *,
    reference_name: str,
) -> CheckReport:
    """Runs a file just written and holds it to its reference.

    Args:
        path: The file, wherever it is now.
        artifact: What it is to be.
        images: uint8 (images, size, size, 3).
        reference: Probabilities for them, (images, classes).
        reference_name: What gave those.
    """
    runner: Runner = registry.load(RUNNERS, artifact.format)(path)
    with runner:
        candidate = np.concatenate([runner.predict(batch) for batch in _batches(images, artifact)])
    islands: tuple[Operator, ...] = ()
    if artifact.precision is Precision.INT8:
        islands = float_islands(registry.load(INSPECTORS, path.suffix)(path).operators)
    return CheckReport(
        reference_name,
        len(images),
        compare(reference, candidate[: len(images)]),
        TOLERANCES[artifact.precision],
        islands,
    )


def _batches(images: NDArray[np.uint8], artifact: Artifact) -> list[NDArray[np.uint8]]:
    """The images in batches that the file takes; the last is filled up by repeating images."""
    batch = artifact.batch or 1
    count = -(-len(images) // batch) * batch
    filled = images[np.arange(count) % len(images)]
    return np.split(filled, count // batch)
