"""The answers that the owner of a network got, as a reference that shares no assumption of ours.

An ``.npz`` of two plain arrays, as three lines of Keras or torch write it:

- ``images``: uint8 (images, height, width, 3), RGB 0...255, as they enter the owner's own
  preprocessing;
- ``probabilities``: any float type (images, classes).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from calibration.npz import open_npz
from vggexport.artifact import Artifact
from vggexport.errors import Advice, ArtifactError, WeightsError
from vggexport.formats.golden.golden_file import GoldenFile, GoldenImage
from vggexport.precision import NARROW_BITS, Precision
from vggexport.system.near_names import not_there
from vggexport.system.number_text import counted
from vggexport.weights.npz import read_npz

RUNTIME = "the owner's own answers"

_ARRAYS = {"images", "probabilities"}


def read_answers(path: Path, known: Artifact) -> GoldenFile:
    """Reads an owner's answers as a golden file of the network that they are said to be of.

    Its sizes and labels are what ``known``, a file to be verified, says.

    Raises:
        ArtifactError: It is damaged, holds something else, or is of another size.
    """
    if not path.exists():
        raise ArtifactError(not_there(path))
    try:
        images, probabilities = open_npz(path), _probabilities(path)
        _check(images, probabilities, known)
    except (ValueError, TypeError, WeightsError, calibration.CalibrationDataError) as error:
        raise ArtifactError(
            f"{path} does not hold answers to verify by ({error}): save uint8 images "
            "(images, height, width, 3) and float probabilities (images, classes) with numpy.savez"
        ) from error
    digests = [calibration.array_digest(image) for image in images]
    return GoldenFile(
        path,
        replace(
            known,
            path=str(path),
            precision=Precision.FLOAT32,
            calibration=None,
            full_integer=False,
            activation_bits=NARROW_BITS,
            preprocessing=None,
        ),
        RUNTIME,
        "",
        tuple(GoldenImage(f"#{index}", digest, digest) for index, digest in enumerate(digests)),
        probabilities.astype(np.float32),
        images,
    )


def check_no_answers(path: Path) -> None:
    """Refuses answers where weights are expected.

    Raises:
        ArtifactError: It holds an owner's answers, or is a golden file.
        WeightsError: It is damaged.
    """
    held = set(read_npz(path)) if path.suffix.lower() == ".npz" else set()
    if held >= _ARRAYS:
        owners, golden = (Advice("pass it with {}", "answers"), Advice("pass it with {}", "golden"))
        way = golden if "manifest" in held else owners
        raise ArtifactError(f"{path} holds images and the answers to them, not weights", way)


def _probabilities(path: Path) -> NDArray[np.floating]:
    archive = read_npz(path)
    if missing := _ARRAYS - set(archive):
        raise ValueError(f"it has no {', '.join(sorted(missing))}")
    return np.asarray(archive["probabilities"].read())


def _check(images: NDArray[np.uint8], probabilities: NDArray[np.floating], known: Artifact) -> None:
    size, classes = known.spec.input_size, known.spec.classes
    if len(images) != len(probabilities):
        raise ValueError(
            f"{counted(len(images), 'image')}, {counted(len(probabilities), 'row')} of "
            "probabilities"
        )
    expected = (len(images), *np.broadcast_to(size, 2).tolist(), len("RGB"))
    if images.shape != expected or not len(images):
        raise ValueError(f"images are of shape {images.shape}, {known.path} takes {expected}")
    if probabilities.shape != (len(images), classes):
        raise ValueError(
            f"probabilities are of shape {probabilities.shape} for {classes} classes of "
            f"{known.path}"
        )
    if not np.issubdtype(probabilities.dtype, np.floating):
        raise ValueError(f"probabilities are {probabilities.dtype}")
    # Half a per mille is room for float16, and far from what logits would be.
    if not (probabilities >= -5e-4).all() or not (probabilities <= 1 + 5e-4).all():  # noqa: PLR2004
        raise ValueError("probabilities are not between 0 and 1: apply softmax or sigmoid first")
