"""int8 against float32 on labelled photographs, beside ``quantize_static`` in two forms.

    python -m benchmarks.int8_accuracy --weights W --calibration PHOTOS --images LABELLED [--keras]

``LABELLED`` has a folder a class; their sorted names are the classes. All int8 files are calibrated
on the same images of ``PHOTOS``. ``--keras`` also holds the float32 file to the Keras network.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import photographs, run, vggexport
from benchmarks.quantize_static import quantize
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.metrics.parity import compare
from vggexport.weights import SpecRequest, open_weights

BATCH = 8


def main() -> None:
    """Makes the files, runs them all on the photographs, prints a row each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--calibration", required=True)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--method", default="minmax")
    parser.add_argument("--keras", action="store_true")
    options = parser.parse_args()
    labelled = list(photographs(options.images, 224))
    names = [label.partition("/")[0] for label, _ in labelled]
    labels = np.searchsorted(sorted(set(names)), names)
    images = np.stack([pixels for _, pixels in labelled])
    print(f"{len(images)} photographs, calibrated on {options.samples} of {options.calibration}")
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(options, Path(folder))
        reference = predict(files["float32"], images)
        print(f"{'float32':28} top-1 {np.mean(reference.argmax(1) == labels):6.2%}")
        if options.keras:
            show("Keras", keras(options.weights, images), reference, labels)
        for name, path in files.items():
            if name != "float32":
                show(name, predict(path, images), reference, labels)


def make_files(options: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """The float32 file and the int8 files, by the names of their rows."""
    files = {
        "float32": folder / "float32.onnx",
        "vggexport int8": folder / "int8.onnx",
        "quantize_static defaults": folder / "defaults.onnx",
        "quantize_static per-channel": folder / "per_channel.onnx",
    }
    float32, int8, defaults, per_channel = files.values()
    run(vggexport("onnx", "--weights", options.weights, "-o", float32))
    run(
        [
            *vggexport("onnx", "--quantize", "--weights", options.weights, "-o", int8),
            "--calibration-data",
            options.calibration,
            "--calibration-samples",
            str(options.samples),
            "--calibration-method",
            options.method,
        ]
    )
    for output, by_channel in ((defaults, False), (per_channel, True)):
        quantize(float32, options.calibration, output, options.samples, per_channel=by_channel)
    return files


def predict(path: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities of one file."""
    with OnnxRunner(path) as runner:
        return np.concatenate([runner.predict(batch) for batch in batches(images)])


def keras(source: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities of the Keras network, its weights held in memory."""
    from vggexport.formats.keras.runner import KerasRunner  # noqa: PLC0415  only --keras needs TensorFlow

    weights = open_weights(source, SpecRequest())
    with KerasRunner(weights.spec, dict(weights)) as runner:
        return np.concatenate([runner.predict(batch) for batch in batches(images)])


def batches(images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """A few images at a time."""
    return np.split(images, range(BATCH, len(images), BATCH))


def show(
    name: str,
    probabilities: NDArray[np.float32],
    reference: NDArray[np.float32],
    labels: NDArray[np.intp],
) -> None:
    """One row: accuracy, and parity with float32."""
    metrics = compare(reference, probabilities)
    print(
        f"{name:28} top-1 {np.mean(probabilities.argmax(1) == labels):6.2%}  agreement "
        f"{metrics.top1_agreement:7.2%}  SQNR {metrics.sqnr_db:6.1f} dB  logits "
        f"{metrics.logit_sqnr_db:6.1f} dB  max abs {metrics.max_abs:.1e}"
    )


if __name__ == "__main__":
    main()
