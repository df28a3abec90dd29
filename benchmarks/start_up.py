"""Time of ``vggexport --help`` and of each command's, as whole processes.

python -m benchmarks.start_up
"""

from __future__ import annotations

import statistics

from benchmarks.measure import run, vggexport
from vggexport.cli.group import COMMANDS

RUNS = 10


def main() -> None:
    """Prints the median and the slowest of some runs of each."""
    for arguments in ((), *((name,) for name in COMMANDS)):
        seconds = [run(vggexport(*arguments, "--help")).seconds for _ in range(RUNS)]
        name = " ".join(("vggexport", *arguments, "--help"))
        print(f"{name:30} median {statistics.median(seconds):.3f} s, slowest {max(seconds):.3f} s")


if __name__ == "__main__":
    main()
