"""This process: package versions, the cores it may use, the memory it used."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from importlib import metadata
from pathlib import Path

from vggexport.system.cgroup import ROOT, cpu_quota

RECORDED_PACKAGES = (
    "vggexport", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert", "numpy",
)  # fmt: skip
"""Packages whose versions can change what is in an artifact."""

STATUS = Path("/proc/self/status")


def package_versions(*further: str) -> dict[str, str]:
    """Installed versions of packages that can change an artifact, and of further ones."""
    versions = {}
    for name in (*RECORDED_PACKAGES, *further):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def usable_cores(root: Path = ROOT) -> int:
    """Processor cores that this process may use at the same time, 1 at least.

    A quota of 2.5 is two: a third thread would use it up before each period ends, and all would
    stand still until the next.
    """
    cores, quota = len(affinity()), cpu_quota(root)
    return cores if quota is None else min(cores, max(1, int(quota)))


def limited_threads() -> int:
    """Threads of a runtime where a quota allows fewer than it would take itself; else 0."""
    cores = usable_cores()
    return cores if cores < len(affinity()) else 0


def affinity() -> tuple[int, ...]:
    """Numbers of the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def give_back_memory() -> None:
    """Returns to the system what was freed, where the C library has a call for it (glibc's).

    Runtimes that take turns each leave free memory that the next does not fit into.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def peak_rss_bytes() -> int:
    """Largest resident memory that this process has had so far, in bytes.

    Linux carries ``ru_maxrss`` over from the process that started this one, however large that
    was; its ``VmHWM`` is of this program alone (proc_pid_status(5)).
    """
    if STATUS.exists():
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes but on macOS
