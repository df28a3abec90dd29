"""int8 files of trained networks, held to the answers that their owners get.

    python -m benchmarks.int8_cases FOLDER [--format onnx|tflite] [-- OPTION ...]

``FOLDER`` has a ``NAME.npz`` a network, with ``images`` (uint8, as they enter its preprocessing)
and ``probabilities``, beside its weights (``.keras``, ``.h5`` or ``.safetensors``), and
``NAME.options`` with what its owner says to vggexport, where that is something. Each is calibrated
on its own images. Exit code 1 if one that comes out is below 12 dB on the logits, agrees on less
than 90 % of the answers, or is more than 3 dB below the network named ``control``. What stands
after ``--`` is passed to vggexport.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.keras_networks import run
from vggexport.formats.registry import FORMATS, load_runner
from vggexport.metrics.parity import ParityMetrics, compare

MIN_LOGIT_SQNR_DB = 12.0
MIN_AGREEMENT = 0.9
MAX_BELOW_CONTROL_DB = 3.0
WEIGHTS = (".keras", ".h5", ".safetensors")


def main() -> None:
    """A line a network, and which are not good enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--format", default="onnx", choices=("onnx", "tflite"))
    parser.add_argument("options", nargs="*")
    options = parser.parse_args()
    found: dict[str, ParityMetrics] = {}
    for answers in sorted(options.folder.glob("*.npz")):
        outcome = measure(answers, options.format, options.options)
        if isinstance(outcome, str):
            print(f"{answers.stem:28} {outcome[:160]}", flush=True)
            continue
        found[answers.stem] = outcome
        print(
            f"{answers.stem:28} {outcome.logit_sqnr_db:5.1f} dB {outcome.top1_agreement:6.1%}",
            flush=True,
        )
    bad = [name for name, metrics in found.items() if not is_good(metrics, found)]
    print(f"{len(found)} networks, {len(bad)} not good enough", *bad)
    sys.exit(bool(bad))


def measure(answers: Path, name_of_format: str, options: list[str]) -> ParityMetrics | str:
    """An int8 file against the owner's answers, or why there is none."""
    weights = next(path for s in WEIGHTS if (path := answers.with_suffix(s)).exists())
    said = answers.with_suffix(".options")
    owners = said.read_text(encoding="utf-8").split() if said.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / f"int8{FORMATS[name_of_format].suffix}"
        inputs = ("--weights", str(weights), "--calibration-data", str(answers), "-o", str(output))
        code, line = run(name_of_format, "--quantize", *inputs, *owners, *options)
        if not output.exists():
            return f"exit {code}: {line}"
        with np.load(answers) as held, load_runner(name_of_format)(output) as runner:
            actual = np.concatenate([runner.predict(image[np.newaxis]) for image in held["images"]])
            activation = runner.artifact.spec.head_activation
            return compare(held["probabilities"], actual, activation)


def is_good(metrics: ParityMetrics, found: Mapping[str, ParityMetrics]) -> bool:
    """Whether it reaches the figures, and is not far below ``control`` where that is there."""
    least = MIN_LOGIT_SQNR_DB
    if "control" in found:
        least = max(least, found["control"].logit_sqnr_db - MAX_BELOW_CONTROL_DB)
    return metrics.logit_sqnr_db >= least and metrics.top1_agreement >= MIN_AGREEMENT


if __name__ == "__main__":
    main()
