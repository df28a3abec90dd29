"""Models of a bundle run on its golden images, one after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.bundles.answers import GivenAnswers
from vggexport.bundles.tolerances import device_tolerances
from vggexport.formats.registry import load_runner
from vggexport.network.layers import OUTPUT_NAME
from vggexport.opening.file_check import read
from vggexport.opening.preprocessed import PreprocessedRunner
from vggexport.opening.run_options import RunOptions
from vggexport.system.machine import processor

REPEATABLE_THREADS = 1
"""Sums over several threads are added up in the order of the number of threads."""


def answer(
    artifact: Artifact,
    path: Path,
    images: NDArray[np.uint8],
    pictures: NDArray[np.uint8],
    run: RunOptions,
) -> GivenAnswers:
    """Runs a model file, and lets go of it.

    Images, and pictures as phones have them, of which there may be none, are uint8 (images, size,
    size, 3). The answers are filed under the artifact's path.

    Raises:
        ArtifactError: It cannot be run.
        Unavailable: Its runtime is not installed, or the execution provider not to be had.
    """
    asked = {"provider": run.provider, "provider_options": run.provider_options}
    options = asked if run.provider else {}
    with load_runner(artifact.format)(path, threads=run.threads, **options) as opened:
        runner = opened
        if artifact.foreign and artifact.preprocessing:
            runner = PreprocessedRunner(opened, artifact.preprocessing)
        pixels = np.concatenate([images, pictures])
        found = read(runner, pixels, [OUTPUT_NAME], artifact.batch or 1)[OUTPUT_NAME]
        return GivenAnswers(
            artifact.path,
            artifact.precision.value,
            runner.runtime,
            runner.provider,
            found[: len(images)],
            device_tolerances(artifact),
            processor(),
            found[len(images) :],
        )
