"""Files of one trained network in all formats, held to each other on photographs.

    python -m benchmarks.format_parity --weights W --calibration PHOTOS --images PHOTOS
        [--count 200] [--only float32,int8]

One ``vggexport export`` makes the files; the Keras network runs beside them. Prints sizes, every
file against float32, and the pairs that should agree: float32 with float32, int8 with int8.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import combinations, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.int8_accuracy import keras
from benchmarks.measure import photographs, run, vggexport
from vggexport.formats.registry import format_of, load_runner
from vggexport.metrics.parity import compare
from vggexport.system.digests import files_of

PRECISIONS = "float32,float16,dynamic-int8,int8,int8-w4"
TOGETHER = ("float32", "int8", "int8-w4")
"""Precisions whose files compute the same."""


def main() -> None:
    """Makes the files, runs them all, prints the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--calibration", required=True)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--only", default=PRECISIONS)
    options = parser.parse_args()
    images = np.stack([p for _, p in islice(photographs(options.images, 224), options.count)])
    print(f"{len(images)} photographs of {options.images.name}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "files"
        command = vggexport("export", "--weights", options.weights, "--precisions", options.only)
        run([*command, "--calibration-data", options.calibration, "-o", str(folder)])
        paths = sorted(path for path in folder.iterdir() if path.suffix != ".json")
        outputs = {path.name: predict(path, images) for path in paths}
        show_sizes(paths)
    outputs["Keras"] = keras(options.weights, images)
    show_pairs(outputs)


def predict(path: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities of one file, an image at a time."""
    with load_runner(format_of(path))(path) as runner:
        return np.concatenate([runner.predict(image[np.newaxis]) for image in images])


def show_sizes(paths: list[Path]) -> None:
    """Bytes, and the share of the same format's float32 file."""
    sizes = {path.name: sum(part.stat().st_size for part in files_of(path)) for path in paths}
    for path in paths:
        whole = sizes.get(f"vgg_d{path.suffix}", sizes[path.name])
        print(f"{path.name:26} {sizes[path.name]:>13,} bytes  {sizes[path.name] / whole:.4f}")


def show_pairs(outputs: dict[str, NDArray[np.float32]]) -> None:
    """Everything against Keras, then the pairs that compute the same."""
    pairs = [("Keras", name) for name in outputs if name != "Keras"]
    pairs += [
        pair
        for pair in combinations([name for name in outputs if name != "Keras"], 2)
        if precision(pair[0]) == precision(pair[1]) and precision(pair[0]) in TOGETHER
    ]
    for reference, candidate in pairs:
        metrics = compare(outputs[reference], outputs[candidate])
        print(
            f"{candidate:26} against {reference:20} max abs {metrics.max_abs:.1e}  logits "
            f"{metrics.logit_sqnr_db:6.1f} dB  top-1 agreement {metrics.top1_agreement:7.2%}"
        )


def precision(name: str) -> str:
    """Of a file, by its default name."""
    known = [p for p in PRECISIONS.split(",") if Path(name).stem == f"vgg_d_{p}"]
    return known[0] if known else "float32"


if __name__ == "__main__":
    main()
