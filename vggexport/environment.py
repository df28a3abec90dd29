"""What this process runs on: package versions, memory used."""

from __future__ import annotations

import os
import resource
import sys
from importlib import metadata

RECORDED_PACKAGES = (
    "vggexport", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert", "numpy",
)  # fmt: skip
"""Packages whose versions can change what is in an artifact."""


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that can change an artifact; others are left out."""
    versions = {}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_rss_bytes() -> int:
    """Largest resident memory that this process has had so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes but on macOS
