"""NVIDIA GPUs, as ``nvidia-smi`` tells; it comes with the driver."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

from vggexport.system.json_values import JsonValue

_MEBI = 2**20
_SECONDS = 10
_TOOL = "nvidia-smi"


@dataclass(frozen=True, slots=True)
class Gpu(JsonValue):
    """The first GPU that this process may use."""

    name: str
    driver: str
    memory_bytes: int | None


def read_gpu() -> Gpu | None:
    """The GPU, or None where there is none or its driver does not tell."""
    fields = _query("name", "driver_version", "memory.total")
    return Gpu(fields[0], fields[1], _bytes(fields[2])) if fields else None


def gpu_memory_used_bytes() -> int | None:
    """Memory that all processes together have taken on the GPU; None where there is none."""
    fields = _query("memory.used")
    return _bytes(fields[0]) if fields else None


def _bytes(mebibytes: str) -> int | None:
    """GPUs that share the processor's memory have "[N/A]" here."""
    return int(mebibytes) * _MEBI if mebibytes.isdecimal() else None


def _query(*fields: str) -> list[str] | None:
    """What the tool says of the first visible GPU."""
    tool = shutil.which(_TOOL)
    if tool is None:
        return None
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0] or "0"
    command = [tool, f"--id={first}", f"--query-gpu={','.join(fields)}"]
    try:
        answer = subprocess.run(  # noqa: S603  the driver's own tool, found on PATH
            [*command, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    values = [value.strip() for value in answer.stdout.strip().split(",")]
    return values if len(values) == len(fields) else None
