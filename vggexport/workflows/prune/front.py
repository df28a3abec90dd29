"""The front of latency against error: files of several networks, made, measured, and gone again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from vggexport.formats.registry import load_runner
from vggexport.metrics.parity import compare
from vggexport.network.layers import OUTPUT_NAME
from vggexport.network.provenance import LatencyRecord
from vggexport.opening.activation_ranges import float32_runner, take_ranges
from vggexport.opening.alternated_latency import latencies
from vggexport.opening.calibration_images import CalibrationOptions, ImagePlan
from vggexport.opening.file_check import read
from vggexport.opening.measured_files import write_onnx
from vggexport.opening.network import Network
from vggexport.precision import Precision
from vggexport.results.prune import Front, FrontFile, PlanPoint
from vggexport.system.machine import Machine
from vggexport.system.number_text import counted
from vggexport.system.progress import Steps
from vggexport.workflows.prune.images import PruningImages

Make = Callable[[PlanPoint, Path], Network]
"""(what is planned, a folder) -> the narrower network, its weights there."""


@dataclass(frozen=True, eq=False)
class FrontRun:
    """What all files of a front are held to: the original, and images to measure all on.

    The machine is as it was when the command began.
    """

    network: Network
    images: PruningImages
    machine: Machine
    steps: Steps
    folder: Path

    def front(self, points: list[PlanPoint], make: Make) -> Front:
        """The original and a network a point, each in float32 and int8."""
        begun, total = time.monotonic(), 1 + len(points)
        with TemporaryDirectory(dir=self.folder) as place:
            files, folder = list[FrontFile](), Path(place)
            np.savez(folder / "seen.npz", images=self.images.chosen_by)
            original = folder / "original.onnx"
            write_onnx(self.network, original)
            answers = self._answers(original)
            for done, point in enumerate([None, *points], start=1):
                narrow = self.network if point is None else make(point, folder)
                files += self._files(narrow, point, original, answers)
                left = (time.monotonic() - begun) / done * (total - done) / 60
                ends = f"at most {left:.0f} min left" if left else "the last"
                self.steps.progress.note(f"{done} of {counted(total, 'network')} measured, {ends}")
        return Front(len(self.images.checked), tuple(files))

    def _files(
        self,
        network: Network,
        point: PlanPoint | None,
        original: Path,
        answers: NDArray[np.float32],
    ) -> Iterator[FrontFile]:
        """The two files of a network, measured beside the original's."""
        paths = {Precision.FLOAT32: original, Precision.INT8: original.with_name("int8.onnx")}
        if point is not None:
            paths[Precision.FLOAT32] = original.with_name("narrow.onnx")
            write_onnx(network, paths[Precision.FLOAT32])
        self._write_int8(network, paths[Precision.INT8])
        with self.steps.step("latency"):
            turns = list(dict.fromkeys([original, *paths.values()]))
            size = network.spec.input_size
            found = dict(zip(turns, latencies(turns, size, self.machine, self.steps), strict=True))
        for precision, path in paths.items():
            yield self._file(network, point, precision, path, answers, found[path])

    def _file(
        self,
        network: Network,
        point: PlanPoint | None,
        precision: Precision,
        path: Path,
        answers: NDArray[np.float32],
        latency: LatencyRecord,
    ) -> FrontFile:
        metrics = compare(answers, self._answers(path), network.spec.head_activation)
        return FrontFile(
            precision,
            network.spec.macs / self.network.spec.macs,
            point.logit_sqnr_db if point else math.inf,
            path.stat().st_size,
            metrics.logit_sqnr_db,
            metrics.top1_agreement,
            latency,
        )

    def _write_int8(self, network: Network, path: Path) -> None:
        """Calibrated on images that channels were chosen by, as exports do it by default."""
        options = CalibrationOptions(str(path.with_name("seen.npz")))
        plan = ImagePlan(
            options,
            network.spec.input_size,
            calibrated=options.samples,
            checked=0,
            pictures=network.pictures,
        )
        with float32_runner(network, path.parent, self.steps) as runner:
            ranges = take_ranges(network, runner, plan, path.parent, self.steps)
        write_onnx(network, path, ranges)

    def _answers(self, path: Path) -> NDArray[np.float32]:
        with self.steps.step("answers"), load_runner("onnx")(path) as runner:
            return read(runner, self.images.checked, [OUTPUT_NAME], 1)[OUTPUT_NAME]
