"""Cost of ``savedmodel`` and ``tflite`` beside what TensorFlow itself does on the same network.

    python -m benchmarks.tensorflow_cost --images PHOTOS [--weights random:0] [--only-ours]

The alternatives are whole processes as ours are: they build the Keras model on the same weights and
call ``model.export`` or ``TFLiteConverter``; for int8 with 4 of the photographs, against 128 of
ours. None of them checks what it wrote.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Cost, run, vggexport
from vggexport.formats.registry import FORMATS
from vggexport.system.digests import files_of

ALTERNATIVE = """
import sys, numpy as np, tensorflow as tf
from benchmarks.measure import photographs
from itertools import islice
from pathlib import Path
from vggexport.formats.keras.model import build_model
from vggexport.weights import SpecRequest, open_weights
kind, source, images, output = sys.argv[1:]
weights = open_weights(source, SpecRequest())
model = build_model(weights.spec, weights)
if kind == "savedmodel":
    model.export(output, format="tf_saved_model", verbose=False)
    sys.exit()
converter = tf.lite.TFLiteConverter.from_keras_model(model)
if kind == "int8":
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: (
        [pixels[np.newaxis].astype(np.float32)]
        for _, pixels in islice(photographs(Path(images), weights.spec.input_size), 4)
    )
Path(output).write_bytes(converter.convert())
"""

ROWS = {
    "savedmodel": (["savedmodel"], "keras model.export"),
    "float32": (["tflite"], "TFLiteConverter"),
    "int8": (["tflite", "--quantize"], "TFLiteConverter int8, 4 images"),
}
"""By what the alternative makes: our command, and the alternative's name."""


def main() -> None:
    """Runs each pair and prints seconds, memory and bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="random:0")
    parser.add_argument("--images", required=True, help="a folder of at least 136 photographs")
    parser.add_argument("--only-ours", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, (command, alternative) in ROWS.items():
            output = folder / f"{kind}_ours{FORMATS[command[0]].suffix}"
            arguments = ["--weights", options.weights, "--calibration-data", options.images]
            cost = run(vggexport(*command, *arguments, "-o", output))
            show(f"vggexport {' '.join(command)}", cost, output)
            if not options.only_ours:
                output = folder / f"{kind}.theirs"
                program = [sys.executable, "-c", ALTERNATIVE, kind, options.weights]
                show(alternative, run([*program, options.images, output]), output)
        with_ranges(options, folder)


def with_ranges(options: argparse.Namespace, folder: Path) -> None:
    """Ours once more, from ranges taken before."""
    network = ["--weights", options.weights, "--calibration-data", options.images]
    ranges, output = folder / "ranges.json", folder / "ranges.tflite"
    show("vggexport calibrate", run(vggexport("calibrate", *network, "-o", ranges)), ranges)
    command = vggexport("tflite", "--quantize", *network, "--ranges", ranges, "-o", output)
    show("vggexport tflite --quantize --ranges", run(command), output)


def show(name: str, cost: Cost, output: Path) -> None:
    """One row."""
    size = sum(part.stat().st_size for part in files_of(output)) if output.exists() else 0
    print(f"{name:38} {cost}  {size:>13,} bytes", flush=True)


if __name__ == "__main__":
    main()
