"""Latencies of ONNX files that take turns: one image, one thread, ONNX Runtime's CPU provider.

All sessions are opened anew several times, for the reasons that ``vggexport.metrics.timing`` gives,
but in this process: a per cent decides nothing here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.formats.registry import load_runner
from vggexport.metrics.latency import Measurement
from vggexport.metrics.latency_ratio import MIN_LAUNCHES, Ratio, paired_ratio
from vggexport.metrics.timing import (
    SETTLE_S,
    Scenario,
    Share,
    Turn,
    by_launch,
    in_turn,
    shares,
    take_turn,
)
from vggexport.network.provenance import LatencyRecord
from vggexport.system.machine import Machine
from vggexport.system.progress import Steps

THREADS = 1
RUNS = 10
"""Counted runs of each file, two a launch."""
SECONDS = 1.0
"""And for so long at least: a small network has more runs."""
ATTEMPTS = 3
"""Times that all of this is done where launches differ much: others use the machine then."""
CLEAR = 0.1
"""How far from its ratio an end of the interval may be, as a share of it, to say what is what."""


def latencies(
    paths: Sequence[Path], size: calibration.Size, machine: Machine, steps: Steps
) -> tuple[LatencyRecord, ...]:
    """Median latencies of ONNX files that take turns, each compared with the first's.

    The machine is described as it was when the command began.
    """
    image = calibration.synthetic_image(0, 0, size)[None]
    rounds = by_launch(tuple(shares(RUNS, SECONDS, settle_s=SETTLE_S)), MIN_LAUNCHES)
    runtime = load_runner("onnx")(paths[0]).runtime
    launches: list[list[tuple[Turn, ...]]] = []
    for _ in range(ATTEMPTS):
        launches += [_launch(paths, image, part) for part in steps.track(rounds, len(rounds))]
        found = [Measurement(Scenario.SINGLE_STREAM, each) for each in zip(*launches, strict=True)]
        ratios = [paired_ratio(found[0].launches_ms, one.launches_ms) for one in found]
        is_clear = all(map(_is_clear, ratios))
        if is_clear:
            break
    if not is_clear:
        steps.progress.note(
            f"latencies differ by more than {CLEAR:.0%} from launch to launch, as others use the "
            "machine: measure again when it is idle"
        )
    where = (runtime, THREADS, machine.cpu_model, machine.busy or not is_clear)
    return tuple(
        LatencyRecord(ratio.value, ratio.interval, statistics.median(one.samples_ms), *where)
        for ratio, one in zip(ratios, found, strict=True)
    )


def _is_clear(ratio: Ratio) -> bool:
    """Whether launches differed so little that the ratio says something."""
    ends = ratio.interval
    return ends is not None and ends[1] <= (1 + CLEAR) * ratio.value


def _launch(
    paths: Sequence[Path], image: NDArray[np.uint8], rounds: Sequence[Share]
) -> list[tuple[Turn, ...]]:
    """Opens all files, and gives each a turn a round: the turns of each."""
    turns: list[list[Turn]] = [[] for _ in paths]
    with ExitStack() as opened:
        runners = [opened.enter_context(load_runner("onnx")(p, threads=THREADS)) for p in paths]
        runs = [runner.prepare(image).run for runner in runners]
        for number, share in enumerate(rounds):
            for index in in_turn(len(runs), number):
                turn = take_turn(runs[index], share, Scenario.SINGLE_STREAM, time.perf_counter_ns)
                turns[index].append(turn)
    return [tuple(each) for each in turns]
