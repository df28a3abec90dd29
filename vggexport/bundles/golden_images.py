"""Golden images of a bundle, and a recorded reference's answers where there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.artifact import Artifact
from vggexport.bundles.answers import GivenAnswers
from vggexport.formats.golden.golden_file import MAKE_AGAIN, GoldenFile, GoldenImages
from vggexport.network.pictures import Pictures
from vggexport.opening.calibration_images import note_left_out, translated
from vggexport.opening.labelled_images import note_contents
from vggexport.opening.same_network import NARROWED, check_same
from vggexport.system.progress import Steps


@dataclass(frozen=True, slots=True, eq=False)
class ChosenImages:
    """Golden images, and who answers for them.

    Attributes:
        source: Where they came from.
        labels: What each is called.
        pixels: uint8 (images, size, size, 3).
        artifact: What gave the reference's answers, or None where one of the models is to.
        answers: Those.
        contents: What was found in the images' folder; None where they come from elsewhere.
        unreadable: Images that were left out, with what is wrong with each.
    """

    source: str
    labels: tuple[str, ...]
    pixels: NDArray[np.uint8]
    artifact: Artifact | None = None
    answers: GivenAnswers | None = None
    contents: calibration.FolderContents | None = None
    unreadable: tuple[str, ...] = ()


def choose_images(
    data: str,
    count: int,
    seed: int,
    size: calibration.Size,
    pictures: Pictures,
    steps: Steps,
    *,
    max_unreadable: float = calibration.sampling.MAX_UNREADABLE_FRACTION,
) -> ChosenImages:
    """Images of a folder, a file or "synthetic", whose answers one of the models is to give.

    A share of them may be unreadable, whose places others take as far as there are some.

    Raises:
        CalibrationError: They cannot be used.
    """
    with translated():
        source = calibration.open_source(
            data, size=size, seed=seed, samples=count, pictures=pictures
        )
        chosen = min(count, len(source))
        sampled = calibration.CalibrationImages(
            source, chosen, seed=seed, max_unreadable_fraction=max_unreadable, fewer=True
        )
        images = tuple(sampled)
        pixels = np.stack([image.pixels for image in images])
    labels = tuple(image.label for image in images)
    unreadable = note_left_out(sampled, steps)
    contents = note_contents(source, steps)
    return ChosenImages(source.name, labels, pixels, contents=contents, unreadable=unreadable)


def recorded_images(path: Path, count: int, artifact: Artifact) -> ChosenImages:
    """The first images of a golden file, with their answers.

    They may be those of the network that the model was made narrower from. They are to be answers
    of ``artifact``.

    Raises:
        ArtifactError: It is of another network, or of other weights.
    """
    file = GoldenFile.read(path)
    theirs = file.artifact
    ignored = ("labels", *(NARROWED if artifact.pruned_from(theirs) else ()))
    check_same(replace(theirs, path=str(path)), artifact, ignoring=ignored, fix=MAKE_AGAIN)
    file.check_pixels(artifact)
    source = GoldenImages(file)
    images = [source.read(index) for index in range(min(count, len(source)))]
    answers = GivenAnswers(
        Path(theirs.path).name,
        theirs.precision.value,
        file.runtime,
        file.provider,
        file.probabilities[: len(images)],
        processor=file.processor,
    )
    pixels = np.stack([image.pixels for image in images])
    return ChosenImages(source.name, tuple(i.label for i in images), pixels, theirs, answers)
