"""Recorded answers: the runner of a golden file, which computes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError
from vggexport.formats.golden.golden_file import GoldenFile
from vggexport.formats.runner import Images, Prepared, Runner, as_input
from vggexport.network.layers import OUTPUT_NAME

GOLDEN = "golden"


class GoldenRunner(Runner):
    """Gives the probabilities that were recorded for an image, and those of no other image."""

    def __init__(self, file: GoldenFile) -> None:
        there = f" on {file.processor}" if file.processor else ""
        self.runtime = f"recorded from {file.runtime}{there}"
        self.provider = file.provider
        self.threads = 0
        self.artifact: Artifact = replace(file.artifact, path=str(file.path), format=GOLDEN)
        self._file = file

    def __enter__(self) -> Self:
        return self

    def close(self) -> None:
        """Has nothing to let go of."""

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """The output for images of the file; nothing else was recorded.

        Raises:
            ArtifactError: One of the images is not in the file, or another layer is asked for.
        """
        wanted = set(names)
        if unknown := wanted - {OUTPUT_NAME}:
            raise ArtifactError(
                f"{self._file.path} holds {OUTPUT_NAME} only, not {', '.join(sorted(unknown))}"
            )
        pixels = as_input(images, np.uint8)
        rows = [self._row(image) for image in pixels]
        return dict.fromkeys(wanted, self._file.probabilities[rows])

    def prepare(self, images: Images) -> Prepared:
        """Has nothing to time.

        Raises:
            ArtifactError: Always.
        """
        raise ArtifactError(f"{self._file.path} holds recorded answers: there is nothing to time")

    def _row(self, image: NDArray[np.uint8]) -> int:
        found = self._file.position.get(calibration.array_digest(image))
        if found is None:
            raise ArtifactError(f"{self._file.path} has no answer for an image that is not in it")
        return found
