"""Everything that needs a CUDA GPU, on a machine that has one: ``make gpu-check``.

Exports the full-size network with random weights in each float precision, runs it on the CPU and on
CUDA and holds the two to each other. Exit codes: 0 done, 1 out of tolerance, 3 no CUDA to be had.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import calibration
from benchmarks.measure import run, vggexport
from vggexport.errors import VggExportError
from vggexport.parity import compare
from vggexport.runners.onnx import OnnxRunner

CUDA = "CUDAExecutionProvider"
IMAGES = 8

MIN_LOGIT_SQNR_DB = {
    "float32": 50.0,  # TF32 is on by default on Ampere and later: 10-bit products
    "float16": 35.0,  # 11-bit significands, and the CPU computes float16 files in float32
}


def main() -> int:
    """Runs each precision; says what was seen."""
    images = np.stack([calibration.synthetic_image(0, index, 224) for index in range(IMAGES)])
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for precision, bound in MIN_LOGIT_SQNR_DB.items():
            path = Path(folder) / f"{precision}.onnx"
            run(vggexport("onnx", "--precision", precision, "-o", path))
            with OnnxRunner(path) as cpu:
                reference = cpu.predict(images)
            with OnnxRunner(path, provider=CUDA) as cuda:
                metrics = compare(reference, cuda.predict(images))
            passed = metrics.finite and metrics.logit_sqnr_db >= bound
            failed |= not passed
            print(
                f"{precision} on {CUDA}: SQNR of the logits {metrics.logit_sqnr_db:.1f} dB against "
                f"the CPU, {bound:g} dB needed: {'passed' if passed else 'FAILED'}"
            )
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VggExportError as error:
        print(f"gpu-check: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
