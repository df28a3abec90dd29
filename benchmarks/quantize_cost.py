"""Cost of ``vggexport onnx --quantize`` beside ``quant_pre_process`` + ``quantize_static``.

    python -m benchmarks.quantize_cost --images PHOTOS [--weights random:0]

Ours starts from the weights, the alternative from a float32 file that ours wrote; making that file
is not counted. The size ratio of the files is printed too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import run, vggexport

ALTERNATIVE = [sys.executable, "-m", "benchmarks.quantize_static"]


def main() -> None:
    """Runs both and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="random:0")
    parser.add_argument("--images", required=True, help="a folder of at least 136 photographs")
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--only-ours", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        float32, int8, theirs = (folder / f"{stem}.onnx" for stem in ("f32", "int8", "theirs"))
        run(vggexport("onnx", "--weights", options.weights, "-o", float32))
        samples = str(options.samples)
        ours_cost = run(
            [
                *vggexport("onnx", "--quantize", "--weights", options.weights, "-o", int8),
                "--calibration-data",
                options.images,
                "--calibration-samples",
                samples,
            ]
        )
        print(f"vggexport onnx --quantize            {ours_cost}")
        ratio = int8.stat().st_size / float32.stat().st_size
        print(f"int8 / float32 file size             {ratio:.4f}")
        if not options.only_ours:
            command = [*ALTERNATIVE, float32, options.images, theirs]
            cost = run([*command, "--samples", samples])
            print(f"quant_pre_process + quantize_static  {cost}")


if __name__ == "__main__":
    main()
