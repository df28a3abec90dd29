"""int8 files that are made to be measured, and go again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.formats.registry import load_runner
from vggexport.formats.runner import Runner
from vggexport.metrics.parity import ParityMetrics, compare
from vggexport.network.layers import OUTPUT_NAME
from vggexport.opening.file_check import read
from vggexport.opening.measured_files import write_onnx
from vggexport.opening.network import Network
from vggexport.quantization.ranges import ActivationRanges


@dataclass(frozen=True, slots=True, eq=False)
class Int8Trial:
    """int8 ONNX files of one network against its float32 file, on the same images each time.

    Attributes:
        network: The network.
        folder: Where a file may be.
        images: uint8 (images, height, width, 3), a set each.
        references: float32's probabilities for them, (images, classes), a set each.
    """

    network: Network
    folder: Path
    images: tuple[NDArray[np.uint8], ...]
    references: tuple[NDArray[np.float32], ...]

    @classmethod
    def on(
        cls, *images: NDArray[np.uint8], network: Network, runner: Runner, folder: Path
    ) -> Int8Trial:
        """On sets of images, whose reference the runner of the float32 file gives."""
        return cls(network, folder, images, tuple(_answers(runner, part) for part in images))

    def parities(self, ranges: ActivationRanges) -> list[ParityMetrics]:
        """How near a file with these ranges is to float32 on each set of images."""
        path = self.folder / "trial.onnx"
        activation = self.network.spec.head_activation
        try:
            write_onnx(self.network, path, ranges)
            with load_runner("onnx")(path) as runner:
                return [
                    compare(reference, _answers(runner, part), activation)
                    for part, reference in zip(self.images, self.references, strict=True)
                ]
        finally:
            path.unlink(missing_ok=True)


def _answers(runner: Runner, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return read(runner, images, [OUTPUT_NAME], 1)[OUTPUT_NAME]
