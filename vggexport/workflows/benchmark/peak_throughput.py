"""What the machine can do at most, measured beside the artifacts in processes of its own.

Each ceiling is a class whose ``compute(dtype)`` gives GFLOP/s of a matrix product and whose
``read()`` gives GB/s of a matrix times a vector, which reads each value once: the two sides of a
roofline (Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009). A ceiling is the best of
several runs and of several libraries: nothing makes a machine faster than it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

from vggexport.errors import VggExportError
from vggexport.metrics.placement import CPU_PROVIDER
from vggexport.precision import Precision
from vggexport.results.benchmark_figures import Ceiling, multiplied_in
from vggexport.system.child_process import ChildProcess

PEAK_THROUGHPUTS: Mapping[str, str] = {
    "blas": "vggexport.workflows.benchmark.blas_throughput:BlasThroughput",
    "onnx": "vggexport.formats.onnx.peak_throughput:OnnxThroughput",
}

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
"""By which every BLAS that numpy is built on takes its threads."""


def measure_peak_throughput(provider: str, threads: int) -> Ceiling:
    """The ceilings on a provider; on CPUs numpy's BLAS is tried, too, as it is always installed."""
    with ExitStack() as entered:
        environment = dict.fromkeys(THREAD_VARIABLES, str(threads))
        started = partial(ChildProcess, name="the ceiling")
        made = [started(PEAK_THROUGHPUTS["onnx"], provider, threads)]
        if provider == CPU_PROVIDER:
            made.insert(0, started(PEAK_THROUGHPUTS["blas"], environment=environment))
        processes = [entered.enter_context(process) for process in made]
        gflop_per_s = {}
        for dtype in dict.fromkeys(multiplied_in(p, provider) for p in Precision):
            if (value := _best(processes, "compute", dtype)) is not None:
                gflop_per_s[dtype] = value
        return Ceiling(provider, threads, gflop_per_s, _best(processes, "read"))


def _best(processes: list[ChildProcess], method: str, *arguments: str) -> float | None:
    """The most that any of them reached.

    A missing package, or too little memory, is a missing figure here: all else is measured by now.
    """
    reached = []
    for process in processes:
        try:
            value: float | None = process.call(method, *arguments)
        except (VggExportError, MemoryError):
            continue
        if value is not None:
            reached.append(value)
    return max(reached, default=None)
