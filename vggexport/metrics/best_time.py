"""The best of several runs."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 0.25
MIN_RUNS = 3


def best_seconds(
    run: Callable[[], object],
    *,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds of the fastest run, one in front not counted.

    It goes on for ``seconds`` at least, and for :data:`MIN_RUNS` in any case.
    """
    run()
    taken: list[float] = []
    begin = clock()
    while len(taken) < MIN_RUNS or clock() - begin < seconds:
        start = clock()
        run()
        taken.append(clock() - start)
    return min(taken)
