"""Time and memory of ``vggexport bundle`` and ``check-bundle`` on full-size int8 files.

    python -m benchmarks.bundle_cost [--files FOLDER]

Without a folder of ``vgg_d_int8.onnx`` and ``vgg_d_int8.tflite`` these are exported first, with
random weights.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import run, vggexport

FILES = ("vgg_d_int8.onnx", "vgg_d_int8.tflite")


def main() -> None:
    """One line a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.files or Path(name) / "files"
        if not options.files:
            export = vggexport("export", "--formats", "onnx,tflite", "--precisions", "int8")
            print("export", run([*export, "--calibration-samples", "16", "-o", folder]))
        bundle = Path(name) / "bundle.zip"
        paths = [folder / file for file in FILES]
        print("bundle", run(vggexport("bundle", *paths, "-o", bundle, "--allow-untrained")))
        print("check-bundle", run(vggexport("check-bundle", bundle)))
        print("diff", run(vggexport("diff", *paths)))


if __name__ == "__main__":
    main()
