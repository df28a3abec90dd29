"""Cost of ``vggexport onnx`` beside ``tf2onnx.convert`` on a SavedModel of the same network.

    python -m benchmarks.export_cost

The alternative needs 20 GiB and minutes at full size; ``--only-ours`` leaves it out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Cost, run, vggexport

SAVE = """
import sys, tensorflow as tf
from vggexport.formats.keras.model import build_model
from vggexport.weights import SpecRequest, open_weights
weights = open_weights(sys.argv[1], SpecRequest())
model = build_model(weights.spec, weights)
class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.model = model
    @tf.function(input_signature=[tf.TensorSpec((None, 224, 224, 3), tf.float32, name="images")])
    def __call__(self, images):
        return {"probabilities": self.model(images, training=False)}
module = Module()
tf.saved_model.save(module, sys.argv[2], signatures={"serving_default": module.__call__})
"""
"""The SavedModel that the alternative starts from; making it is not counted."""


def main() -> None:
    """Runs both and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="random:0")
    parser.add_argument("--runs", type=int, default=3, help="of ours; the alternative runs once")
    parser.add_argument("--only-ours", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = vggexport(
            "onnx", "--weights", options.weights, "-o", folder / "ours.onnx", "--force"
        )
        ours = sorted((run(command) for _ in range(options.runs)), key=lambda cost: cost.seconds)
        for cost in ours:
            print(f"vggexport onnx                     {cost}")
        if not options.only_ours:
            compare(ours[len(ours) // 2], alternative(options.weights, folder))


def alternative(weights: str, folder: Path) -> Cost:
    """The usual route on the same weights."""
    run([sys.executable, "-c", SAVE, weights, folder / "saved"])
    return run(
        [
            sys.executable,
            "-m",
            "tf2onnx.convert",
            "--saved-model",
            folder / "saved",
            "--output",
            str(folder / "theirs.onnx"),
            "--opset",
            "17",
        ]
    )


def compare(ours: Cost, theirs: Cost) -> None:
    """Prints the alternative and the ratios."""
    print(f"tf2onnx.convert --saved-model      {theirs}")
    faster = theirs.seconds / ours.seconds
    leaner = theirs.peak_rss_bytes / ours.peak_rss_bytes
    if theirs.exit_code:
        print("it was killed before it was done, out of memory: the ratios are lower bounds")
    print(f"ratio, ours being the median run: {faster:.1f} times faster, {leaner:.1f} times leaner")


if __name__ == "__main__":
    main()
