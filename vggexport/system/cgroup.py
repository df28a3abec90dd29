"""How much of the processor a container may use: the quota of its control groups.

Version 2: ``cpu.max`` (Linux, Documentation/admin-guide/cgroup-v2.rst, "CPU Interface Files").
Version 1: ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us`` (Documentation/scheduler/sched-bwc.rst).
The cores of its cpuset are those of the process's affinity.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

ROOT = Path("/")
_MOUNT = "sys/fs/cgroup"
_V1_MOUNTS = ("cpu", "cpu,cpuacct")


def cpu_quota(root: Path = ROOT) -> float | None:
    """Processors' worth of time that this process may use; None where there is no limit."""
    found = [quota for folder in _folders(root) if (quota := _quota(folder)) is not None]
    return min(found, default=None)


def _folders(root: Path) -> Iterator[Path]:
    """Folders of the group and of all above it; any of them may set a limit.

    In a container the path may be the host's, where its own group is what is mounted.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        mounts = [""] if not controllers else _V1_MOUNTS if "cpu" in names else []
        place = PurePosixPath(path.lstrip("/"))
        for mount in mounts:
            for folder in (place, *place.parents):
                yield root / _MOUNT / mount / folder


def _quota(folder: Path) -> float | None:
    """What one group is limited to."""
    with suppress(OSError, ValueError, IndexError, ZeroDivisionError):
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    with suppress(OSError, ValueError, ZeroDivisionError):
        parts = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        quota_us, period_us = (int((folder / part).read_text(encoding="ascii")) for part in parts)
        return quota_us / period_us if quota_us > 0 else None
    return None
