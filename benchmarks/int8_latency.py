"""Latency of int8 against float32, batch 1, the two alternated in one run.

python -m benchmarks.int8_latency [--format onnx|tflite] [--weights random:0] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import run, vggexport
from vggexport.formats.registry import FORMATS, load_runner
from vggexport.formats.runner import Runner

WARM_UP = 3


def main() -> None:
    """Makes both files and times them in turn, so that a drift of the machine hits both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=("onnx", "tflite"), default="onnx")
    parser.add_argument("--weights", default="random:0")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=40)
    options = parser.parse_args()
    image = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        suffix = FORMATS[options.format].suffix
        float32, int8 = (Path(folder) / f"{name}{suffix}" for name in ("float32", "int8"))
        command = vggexport(options.format, "--weights", options.weights)
        run([*command, "-o", str(float32)])
        run([*command, "--quantize", "--calibration-samples", "16", "-o", str(int8)])
        runner = load_runner(options.format)
        with (
            runner(float32, threads=options.threads) as slow,
            runner(int8, threads=options.threads) as fast,
        ):
            samples = [(timed(slow, image), timed(fast, image)) for _ in range(options.runs)]
    float32_ms, int8_ms = (
        statistics.median(column) for column in zip(*samples[WARM_UP:], strict=True)
    )
    print(
        f"{options.format}, {options.threads} thread(s), {options.runs - WARM_UP} alternated runs"
    )
    ratio = int8_ms / float32_ms
    print(f"p50: float32 {float32_ms:.1f} ms, int8 {int8_ms:.1f} ms, ratio {ratio:.3f}")


def timed(runner: Runner, image: np.ndarray) -> float:
    """Milliseconds of one run."""
    begin = time.perf_counter()
    runner.predict(image)
    return (time.perf_counter() - begin) * 1000


if __name__ == "__main__":
    main()
