"""Every layer of model files on the same images, kept in one file.

    python -m arm_check.layers FOLDER OUT.npz MODEL...

FOLDER holds PNG files as a bundle has them, of the models' own size. Run on two processors, the
integers that differ are those whose values differ: a layer's values are its integers less a zero
point, times a scale.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.bundles.png import read_png
from vggexport.formats.registry import format_of, load_runner


def read_layers(path: Path, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Outputs of a file's layers by name, an image at a time."""
    with load_runner(format_of(path))(path, threads=1) as runner:
        artifact = runner.artifact
        names = artifact.layer_names if artifact else ()
        found = [runner.activations(image[np.newaxis], names) for image in images]
    return {name: np.concatenate([values[name] for values in found]) for name in names}


def shares(
    here: Mapping[str, NDArray[np.float32]], there: Mapping[str, NDArray[np.float32]]
) -> dict[str, float]:
    """Of each layer's values, how many differ, 0...1."""
    return {name: float(np.mean(here[name] != there[name])) for name in here}


def main(arguments: Sequence[str]) -> None:
    """Writes all layers of all files."""
    source, written, *models = map(Path, arguments)
    images = np.stack([read_png(place) for place in sorted(source.glob("*.png"))])
    values = {
        f"{path.name}/{name}": value
        for path in models
        for name, value in read_layers(path, images).items()
    }
    np.savez(written, **values)


if __name__ == "__main__":
    main(sys.argv[1:])
