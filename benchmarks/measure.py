"""What the benchmark scripts share: whole-process cost, images, and a plain table."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration

GIBI = 2**30


@dataclass(frozen=True, slots=True)
class Cost:
    """What a whole process took.

    Attributes:
        seconds: Wall-clock time from start to exit.
        peak_rss_bytes: Its largest resident memory, as the kernel counted it (wait4).
        exit_code: 0, or what went wrong; negative for a signal (-9: killed, out of memory).
    """

    seconds: float
    peak_rss_bytes: int
    exit_code: int

    def __str__(self) -> str:
        end = "" if self.exit_code == 0 else f"  (exit {self.exit_code})"
        return f"{self.seconds:7.1f} s {self.peak_rss_bytes / GIBI:6.2f} GiB{end}"


def run(command: Sequence[str | Path]) -> Cost:
    """Runs a command and accounts for it; its output is shown only if it fails."""
    begin = time.perf_counter()
    with subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        output = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begin
    if process.returncode:
        sys.stderr.buffer.write(output[-2000:])
    return Cost(seconds, usage.ru_maxrss * 1024, process.returncode)


def vggexport(*arguments: str | Path) -> list[str]:
    """The command line of this installation."""
    return [sys.executable, "-m", "vggexport", *map(str, arguments)]


def photographs(folder: Path, size: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Every image of a folder as (path in it, uint8 (size, size, 3)), in order of path."""
    source = calibration.open_source(str(folder), size=size, seed=0, samples=0)
    for index in range(len(source)):
        image = source.read(index)
        yield image.label, image.pixels
