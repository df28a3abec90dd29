"""Does an int8 file get through that was calibrated on useless data?

    python -m benchmarks.useless_calibration --weights W --images LABELLED [--samples 32]

``LABELLED`` has a folder a class. Each file goes the way of a user: ``onnx --quantize``, ``verify``
on photographs of all classes, and ``bundle`` beside the float32 file. What the first refuses is
tried again with ``--no-check``. Prints where each was refused; exit 1 if one got through.
Photographs of one class pass the first two, as what they give may be good: a VGG16 of 12 kinds of
flowers, calibrated on 24 photographs of bluebells, has the float32 network's best class on all of
96 photographs, 8 a kind; its logits have 19.9 dB on the 11 other kinds, where two photographs a
kind give 26.1 dB. The file's own check cannot know that, so that ``bundle`` refuses it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.measure import photographs, vggexport

NOISE = 4.0
"""Standard deviation of a camera's noise, in levels of 0...255."""


def main() -> None:
    """Makes the files, and prints what each command said of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--samples", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fine = folder / "float32.onnx"
        if said := refusal("onnx", "--weights", options.weights, "--no-check", "-o", fine):
            sys.exit(said)
        passed = [
            kind
            for kind, data in calibrations(options.images, options.samples, folder)
            if not refused(kind, data, fine, options)
        ]
    print(f"got through: {', '.join(passed) or 'none'}")
    sys.exit(bool(passed))


def calibrations(images: Path, samples: int, folder: Path) -> Iterator[tuple[str, Path]]:
    """Useless and poor data, by what they are."""
    pictures = np.stack([pixels for _, pixels in islice(photographs(images, 224), samples)])
    again = np.repeat(pictures[:1], samples, axis=0)
    noise = np.random.default_rng(0).normal(0, NOISE, again.shape)
    arrays = {
        "black": np.zeros_like(pictures),
        "0...1 as uint8": (pictures / 255).astype(np.uint8),
        "one picture": again,
        "one picture with noise": np.clip(again + noise, 0, 255).astype(np.uint8),
    }
    for number, (kind, array) in enumerate(arrays.items()):
        path = folder / f"{number}.npz"
        np.savez(path, images=array)
        yield kind, path
    yield "one class", min(path for path in images.iterdir() if path.is_dir())


def refused(kind: str, data: Path, fine: Path, options: argparse.Namespace) -> bool:
    """Whether one of the commands refuses the file, each of which is asked."""
    file = fine.with_name("int8.onnx")
    file.unlink(missing_ok=True)
    build = ["onnx", "--quantize", "--weights", options.weights, "--calibration-data", data]
    build += ["--calibration-samples", options.samples, "-o", file, "--force"]
    said = {"onnx": refusal(*build)}
    if said["onnx"]:
        said["onnx --no-check"] = refusal(*build, "--no-check")
    if file.exists():
        said["verify"] = refusal("verify", fine, file, "--data", options.images, "--images", 60)
        packed = ["-o", file.with_name("bundle"), "--force", "--no-labels", "--licence", "none"]
        said["bundle"] = refusal("bundle", fine, file, *packed)
    for command, line in said.items():
        print(f"{kind:24} {command:16} {line or 'passed'}", flush=True)
    return any(said.values())


def refusal(*arguments: object) -> str:
    """The error line of a command; empty if it passes."""
    command = vggexport(*map(str, arguments))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    return f"exit {done.returncode}: {lines[0] if lines else done.stderr[-500:]}"


if __name__ == "__main__":
    main()
