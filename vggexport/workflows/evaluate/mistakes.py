"""The images that a network is surest and wrong about, read once more to be shown."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

import calibration
from vggexport.results.evaluate import Mistake
from vggexport.results.verify import Guess
from vggexport.workflows.evaluate.predictions import Answers

SHOWN_MISTAKES = 12


def surest_mistakes(
    images: calibration.LabelledImages, answers: Answers, read: NDArray[np.intp]
) -> Iterator[Mistake]:
    """The surest first, of images that were read, whose indices are given."""
    wrong = read[answers.best[read, 0] != images.targets[read]]
    surest = wrong[np.argsort(-answers.confidence[wrong], kind="stable")][:SHOWN_MISTAKES]
    readings = calibration.read_ahead(images.source, (int(index) for index in surest))
    for index, image in readings:
        if isinstance(image, calibration.SourceImage):
            confidence = float(answers.confidence[index])
            guess = Guess.named(int(answers.best[index, 0]), images.classes, confidence)
            expected = images.classes[int(images.targets[index])]
            yield Mistake(image.label, expected, guess, image.pixels)
