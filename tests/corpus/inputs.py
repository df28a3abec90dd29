"""Writes what a corpus begins with, here: labelled images, and a tiny network's first weights.

Run in an empty folder before its ``commands.sh``. It imports nothing of vggexport, so that any
version can be given the same.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

COLOURS = {
    "ant": (200, 60, 40), "bee": (200, 190, 60), "cat": (70, 70, 80), "dog": (190, 140, 110),
    "eel": (40, 110, 200),
}  # fmt: skip
"""Mean of each class's images, RGB 0...255."""
NOISE = 30
SPEC = {
    "configuration": "D",  # the default of --config, with blocks of its own
    "blocks": [["conv3-4", "conv1-6"], ["conv3-8"]],
    "classes": 5,
    "fc_units": 64,  # int8-w4 has blocks of 64
    "input_size": 16,
    "mean_rgb": [123.68, 116.779, 103.939],
}
SHAPES = {
    "block1_conv1": (3, 3, 3, 4), "block1_conv2": (1, 1, 4, 6), "block2_conv1": (3, 3, 6, 8),
    "fc1": (128, 64), "fc2": (64, 64), "predictions": (64, 5),
}  # fmt: skip
PIXEL_SCALE = 60.0
"""About the standard deviation of pixels."""


def write_images(random: np.random.Generator) -> None:
    for name, colour in COLOURS.items():
        folder = Path("images", name)
        folder.mkdir(parents=True)
        for number in range(6):
            small = np.array(colour) + NOISE * random.standard_normal((5, 5, 3))
            pixels = np.clip(small, 0, 255).astype(np.uint8).repeat(4, 0).repeat(4, 1)
            Image.fromarray(pixels).save(folder / f"{number}.png", optimize=True)


def write_weights(random: np.random.Generator) -> None:
    tensors = {}
    for name, shape in SHAPES.items():
        kernel = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
        kernel /= PIXEL_SCALE if name == "block1_conv1" else 1
        tensors[f"{name}/kernel"] = kernel.astype(np.float32)
        tensors[f"{name}/bias"] = (random.standard_normal(shape[-1]) / 4).astype(np.float32)
    description = {"spec": SPEC, "labels": None, "training": None}
    save_file(tensors, "first.safetensors", {"vggexport.weights": json.dumps(description)})


if __name__ == "__main__":
    generator = np.random.default_rng(0)
    write_images(generator)
    write_weights(generator)
