"""Time, memory and overhead of ``vggexport verify`` on five artifacts of one network.

    python -m benchmarks.verify_cost --weights W.npz --images PHOTOS [--calibration PHOTOS]
        [--count 50 200] [--layers]

Keras, SavedModel, ONNX float32 and int8, and TFLite int8 on the same photographs, in one command a
count. The overhead is what the step that runs them takes beyond the runtimes' own seconds: decoding
images, comparing, adding up. Memory must not grow with the images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import GIBI, run, vggexport

FILES = ("vgg_d_saved_model", "vgg_d.onnx", "vgg_d_int8.onnx", "vgg_d_int8.tflite")


def main() -> None:
    """Exports once, then verifies on each number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--calibration", default="synthetic")
    parser.add_argument("--count", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--layers", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "files"
        command = vggexport("export", "--weights", options.weights, "-o", folder)
        run([*command, "--precisions", "float32,int8", "--calibration-data", options.calibration])
        files = [str(folder / file) for file in FILES]
        for count in options.count:
            show(count, verify(files, count, options))


def verify(files: list[str], count: int, options: argparse.Namespace) -> dict[str, Any]:
    """The report of one command, as JSON."""
    command = vggexport("verify", options.weights, *files, "--data", options.images, "--json")
    command += ["--images", str(count), "--no-diagnose", *(["--layers"] * options.layers)]
    process = subprocess.run(command, capture_output=True, check=False)
    report: dict[str, Any] = json.loads(process.stdout)
    return report


def show(count: int, report: dict[str, Any]) -> None:
    """One line a command, one a file."""
    seconds, inference = report["seconds"], report["inference_seconds"]
    overhead = seconds["verify"] / inference - 1
    peak = report["peak_rss_bytes"] / GIBI
    print(
        f"{count} images: {sum(seconds.values()):.1f} s in all, {inference:.1f} s in the runtimes, "
        f"overhead {overhead:.1%}, peak {peak:.2f} GiB"
    )
    for candidate in report["candidates"]:
        metrics = candidate["metrics"]
        print(
            f"  {Path(candidate['path']).name:20} logits {metrics['logit_sqnr_db'] or 999:6.1f} dB"
            f"  top-1 {metrics['top1_agreement']:.2%}  {candidate['inference_seconds']:.1f} s"
        )


if __name__ == "__main__":
    main()
