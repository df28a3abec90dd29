"""What evaluate finds, and the answers that it should come from."""

from pathlib import Path

import numpy as np

import vggexport
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.workflows.evaluate.run import EvaluateOptions


def evaluated(*artifacts, data, **options):
    return vggexport.evaluate(EvaluateOptions(artifacts, data, **options))


def by_hand(path, images):
    """Every image's probabilities, one by one."""
    with OnnxRunner(Path(path)) as runner:
        pixels = [images.source.read(index).pixels for index in range(len(images))]
        return np.concatenate([runner.predict(image[None]) for image in pixels])
