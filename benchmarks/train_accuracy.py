"""A network trained on labelled photographs: time, memory, and what int8 files of it lose.

    python -m benchmarks.train_accuracy --data FLOWERS --weights CONV.npz --calibration PHOTOS
        [--folder DIR]

``train`` with its defaults from an empty cache, then ``export`` and ``evaluate`` on the photographs
that the split held out. Those also chose the epoch; the last epoch's accuracy, which nothing chose,
tells what that is worth.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import GIBI, vggexport

FILES = ("vgg_d.onnx", "vgg_d.tflite", "vgg_d_int8.onnx", "vgg_d_int8.tflite")


def main() -> None:
    """Trains, exports and evaluates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of folders by class")
    parser.add_argument("--weights", required=True, help="trained convolutions")
    parser.add_argument("--calibration", default="synthetic")
    parser.add_argument("--folder", type=Path, help="keeps what is written, instead of a while")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(exist_ok=True)
        weights, table = folder / "trained.safetensors", folder / "trained.validation.csv"
        show_training(train(options, weights, folder / "cache"))
        export(options, weights, folder / "files")
        files = [folder / "files" / file for file in FILES]
        show_accuracy(evaluate(files, "--data", options.data, "--csv", table))


def train(options: argparse.Namespace, output: Path, cache: Path) -> dict[str, Any]:
    """The report of one training with the defaults."""
    command = vggexport("train", "--data", options.data, "--weights", options.weights)
    command += ["--init-missing"]
    return answer([*command, "--cache-dir", str(cache), "-o", str(output), "--json"])


def export(options: argparse.Namespace, weights: Path, folder: Path) -> None:
    """All files of a network."""
    command = vggexport("export", "--weights", weights, "-o", folder, "--formats", "onnx,tflite")
    command += ["--precisions", "float32,int8", "--calibration-data", options.calibration]
    answer([*command, "--json"])


def evaluate(files: list[Path], *arguments: str | Path) -> dict[str, Any]:
    """The report on labelled images."""
    return answer(vggexport("evaluate", *files, *arguments, "--json"))


def answer(command: list[str]) -> dict[str, Any]:
    """The JSON of one command."""
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit {process.returncode}")
    report: dict[str, Any] = json.loads(process.stdout)
    return report


def show_training(report: dict[str, Any]) -> None:
    """One line."""
    low, high = report["validation_accuracy_ci95"]
    parts = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in report["seconds"].items())
    print(
        f"train: {sum(report['seconds'].values()):.0f} s ({parts}), peak "
        f"{report['peak_rss_bytes'] / GIBI:.2f} GiB, {len(report['epochs'])} epochs, "
        f"{report['training_images']} images; {report['validation_accuracy']:.2%} of "
        f"{report['validation_images']} held out (95 %: {low:.1%} to {high:.1%}), "
        f"after the last epoch {report['epochs'][-1]['validation_accuracy']:.2%}",
        flush=True,
    )


def show_accuracy(report: dict[str, Any]) -> None:
    """One line a file."""
    for result in report["results"]:
        print(
            f"  {Path(result['path']).name:20} top-1 {result['top1']:.2%} of {result['images']}, "
            f"agreement {result['agreement']:.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
