"""This process: package versions, the cores it may use, the memory it used."""

from __future__ import annotations

import os
import resource
import sys
from importlib import metadata
from pathlib import Path

RECORDED_PACKAGES = (
    "vggexport", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert", "numpy",
)  # fmt: skip
"""Packages whose versions can change what is in an artifact."""

STATUS = Path("/proc/self/status")


def package_versions(*further: str) -> dict[str, str]:
    """Installed versions of the packages that can change an artifact; others are left out.

    Args:
        further: More packages to look for.
    """
    versions = {}
    for name in (*RECORDED_PACKAGES, *further):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(affinity())


def affinity() -> tuple[int, ...]:
    """Numbers of the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


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
