"""Overhead and memory of ``vggexport evaluate`` as images become many.

    python -m benchmarks.evaluate_cost FILE... --data LABELLED [--count 100 10000]

Each count is a folder of as many links to the labelled photographs, decoded anew each. The overhead
is what the step that runs the files takes beyond the runtimes' own seconds: decoding, counting.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import chain, cycle, islice, zip_longest
from pathlib import Path
from typing import Any

from benchmarks.measure import GIBI, vggexport


def main() -> None:
    """Evaluates on each number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="a folder of folders by class")
    parser.add_argument("--count", type=int, nargs="+", default=[100, 10_000])
    options = parser.parse_args()
    peaks = []
    for count in options.count:
        with tempfile.TemporaryDirectory() as name:
            link(options.data, Path(name), count)
            report = evaluate(options.files, Path(name))
        peaks.append(report["peak_rss_bytes"])
        show(report)
    print(f"memory: {max(peaks) / peaks[0]:.3f} times that of {options.count[0]} images (1.1)")


def link(data: Path, folder: Path, count: int) -> None:
    """As many links to images, taken class by class in turn."""
    classes = [sorted(filter(Path.is_file, one.iterdir())) for one in sorted(data.glob("*/"))]
    images = filter(None, chain.from_iterable(zip_longest(*classes)))
    for number, path in enumerate(islice(cycle(images), count)):
        place = folder / path.parent.name / f"{number:06}_{path.name}"
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(path.resolve())


def evaluate(files: list[str], folder: Path) -> dict[str, Any]:
    """The JSON of one command."""
    command = vggexport("evaluate", *files, "--data", folder, "--json")
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(process.stderr)
    report: dict[str, Any] = json.loads(process.stdout)
    return report


def show(report: dict[str, Any]) -> None:
    """One line a command."""
    inference = sum(result["inference_seconds"] for result in report["results"])
    seconds = report["seconds"]
    print(
        f"{report['images']} images: {sum(seconds.values()):.1f} s in all, {inference:.1f} s in "
        f"the runtimes, overhead {seconds['evaluate'] / inference - 1:.1%} (2 %), peak "
        f"{report['peak_rss_bytes'] / GIBI:.3f} GiB",
        flush=True,
    )


if __name__ == "__main__":
    main()
