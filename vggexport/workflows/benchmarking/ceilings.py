"""What the machine can do at most, measured beside the artifacts in processes of its own."""

from __future__ import annotations

from contextlib import ExitStack

from vggexport.ceilings import CEILINGS
from vggexport.errors import VggExportError
from vggexport.remote import Remote
from vggexport.reports.latency import CPU_PROVIDER, Ceiling
from vggexport.spec import Precision

ON_CPU = (Precision.FLOAT32, Precision.INT8)
ON_CUDA = (Precision.FLOAT32, Precision.FLOAT16)
"""What each computes in: CPUs compute float16 files in float32, CUDA int8 files in float."""

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
"""By which every BLAS that numpy is built on takes its threads."""


def measure_ceiling(provider: str, threads: int) -> Ceiling:
    """The ceilings on a provider; numpy's BLAS is there for CPUs whatever is installed.

    Args:
        provider: ONNX Runtime's name; CPUs are measured for any that is not CUDA's.
        threads: As the artifacts had.
    """
    with ExitStack() as entered:
        environment = dict.fromkeys(THREAD_VARIABLES, str(threads))
        made = [Remote(CEILINGS["onnx"], provider, threads, name="the ceiling")]
        if provider == CPU_PROVIDER:
            made = [Remote(CEILINGS["blas"], name="the ceiling", environment=environment), *made]
        remotes = [entered.enter_context(remote) for remote in made]
        gflop_per_s = {}
        for precision in ON_CPU if provider == CPU_PROVIDER else ON_CUDA:
            if (value := _first(remotes, "compute", precision)) is not None:
                gflop_per_s[precision.value] = value
        return Ceiling(provider, threads, gflop_per_s, _first(remotes, "read"))


def _first(remotes: list[Remote], method: str, *arguments: Precision) -> float | None:
    """What the first that can do it reached.

    A missing package, or too little memory, is a missing figure here: all else is measured by now.
    """
    for remote in remotes:
        try:
            value: float | None = remote.call(method, *arguments)
        except (VggExportError, MemoryError):
            continue
        if value is not None:
            return value
    return None
