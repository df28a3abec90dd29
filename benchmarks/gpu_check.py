"""Everything that needs a CUDA GPU, on a machine that has one: ``make gpu-check``.

Exports the full-size network with random weights, runs each float precision on the CPU and on CUDA
and holds the two to each other; then ``vggexport benchmark --device cuda`` on all files, whose
placement, transfers and memory are printed. Exit codes: 0 done, 1 out of tolerance or not all on
the GPU, 3 no CUDA to be had.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import calibration
from benchmarks.measure import run, vggexport
from vggexport.errors import VggExportError
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.metrics.parity import compare

CUDA = "CUDAExecutionProvider"
IMAGES = 8

MIN_LOGIT_SQNR_DB = {
    "float32": 50.0,  # TF32 is on by default on Ampere and later: 10-bit products
    "float16": 35.0,  # 11-bit significands, and the CPU computes float16 files in float32
}


def main() -> int:
    """Parity of each precision, then the benchmark; says what was seen."""
    images = np.stack([calibration.synthetic_image(0, index, 224) for index in range(IMAGES)])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {precision: export(precision, folder) for precision in (*MIN_LOGIT_SQNR_DB, "int8")}
        passed = [parity(paths[p], images, p) for p in MIN_LOGIT_SQNR_DB]
        passed.append(benchmark(list(paths.values())))
    return int(not all(passed))


def export(precision: str, folder: Path) -> Path:
    """A file of the full-size network."""
    path = folder / f"{precision}.onnx"
    samples = ("--calibration-samples", "8")
    run(vggexport("onnx", "--precision", precision, *samples, "-o", path))
    return path


def parity(path: Path, images: np.ndarray, precision: str) -> bool:
    """Whether CUDA computes what the CPU does."""
    bound = MIN_LOGIT_SQNR_DB[precision]
    with OnnxRunner(path) as cpu:
        reference = cpu.predict(images)
    with OnnxRunner(path, provider=CUDA) as cuda:
        metrics = compare(reference, cuda.predict(images))
        bound_run = cuda.prepare(images)  # input and output stay on the device
        bound_metrics = compare(reference, bound_run.probabilities())
    worst = min(metrics.logit_sqnr_db, bound_metrics.logit_sqnr_db)
    passed = metrics.finite and bound_metrics.finite and worst >= bound
    print(
        f"{precision} on {CUDA}: SQNR of the logits {metrics.logit_sqnr_db:.1f} dB against the "
        f"CPU, bound to the device {bound_metrics.logit_sqnr_db:.1f} dB, {bound:g} dB needed: "
        f"{'passed' if passed else 'FAILED'}"
    )
    return passed


def benchmark(paths: Sequence[Path]) -> bool:
    """Whether ``vggexport benchmark`` ran all files wholly on the GPU."""
    command = vggexport("benchmark", *paths, "--device", "cuda", "--batch", "1,8,32", "--json")
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not answer.stdout:
        print(f"benchmark --device cuda ended with code {answer.returncode}: FAILED")
        return False
    report = json.loads(answer.stdout)
    print(f"GPU: {report['environment']['gpu']}")
    for ceiling in report["ceilings"]:
        print(f"ceiling: {ceiling}")
    for result in report["results"]:
        print(describe(result))
    for note in report["notes"]:
        print(f"note: {note}")
    return all(
        result["provider"] == CUDA and result["placement"]["node_share"] == 1.0
        for result in report["results"]
    )


def describe(result: dict[str, Any]) -> str:
    """One result in a line."""
    placement, latency = result["placement"], result["latency_ms"]
    return (
        f"{result['precision']} batch {result['batch']}: {result['provider']}, "
        f"{placement['node_share']:.0%} of nodes, MACs {placement['mac_share']}, p50 "
        f"{latency['p50']:.3f} ms, p90 {latency['p90']}, "
        f"{result['throughput_per_s']:.0f} images/s, transfer {result['transfer_ms']} ms, "
        f"GPU memory {result['gpu_memory_bytes']}, "
        f"of ceiling {result['ceiling_share']}"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VggExportError as error:
        print(f"gpu-check: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
