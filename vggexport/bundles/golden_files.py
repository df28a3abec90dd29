"""Golden images written into a bundle, with the answers to them and pairs for preprocessing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

import calibration
from calibration.decoding import decode_bytes
from vggexport.bundles import GOLDEN
from vggexport.bundles.answers import GivenAnswers, GoldenAnswers, GoldenInput, GoldenSource
from vggexport.bundles.golden_pictures import LEVELS, golden_pictures
from vggexport.bundles.png import encode_png
from vggexport.bundles.preprocessing import Preprocessing
from vggexport.bundles.staging import Staging

SOURCE_SHAPES = {"landscape": (1.7, 2.45), "portrait": (2.1, 1.35), "small": (0.6, 0.8)}
"""Height and width of the images that show the preprocessing, in input sizes: scaled down by odd
factors either way, and scaled up."""


def write_golden(
    staging: Staging,
    source: str,
    labels: Sequence[str],
    pixels: NDArray[np.uint8],
    reference: GivenAnswers,
    given: Sequence[GivenAnswers],
    pictures: calibration.PictureOptions,
) -> None:
    """Adds golden images, pairs that show the preprocessing, and all answers.

    Args:
        staging: The bundle on its way.
        source: Where the images came from.
        labels: What each is called.
        pixels: uint8 (images, size, size, 3).
        reference: What the network's finest form gave for them.
        given: What each model gave.
        pictures: How pictures become as many pixels.
    """
    inputs = []
    for number, (label, image) in enumerate(zip(labels, pixels, strict=True)):
        inputs.append(GoldenInput(f"golden/inputs/{number:03}.png", label))
        staging.add(inputs[-1].file, encode_png(image))
    pairs = tuple(_write_pairs(staging, Preprocessing(pixels.shape[1:3], pictures)))
    answers = GoldenAnswers(source, tuple(inputs), pairs, reference, tuple(given))
    staging.add_json(GOLDEN, answers.to_json())


def _write_pairs(staging: Staging, preprocessing: Preprocessing) -> Iterator[GoldenSource]:
    """Images of other sizes and kinds, and what the preprocessing makes of them."""
    for number, (name, (height, width)) in enumerate(SOURCE_SHAPES.items()):
        rows, columns = (
            round(height * preprocessing.size[0]),
            round(width * preprocessing.size[1]),
        )
        square = calibration.synthetic_image(0, number, max(rows, columns))
        image = np.ascontiguousarray(square[:rows, :columns])
        pair = GoldenSource(f"golden/sources/{name}.png", f"golden/sources/{name}_prepared.png")
        staging.add(pair.file, encode_png(image))
        staging.add(pair.prepared, encode_png(preprocessing.apply(image)))
        yield pair
    for picture in golden_pictures(preprocessing.size):
        stem = f"golden/pictures/{picture.name.replace('.', '_')}"
        pair = GoldenSource(f"golden/pictures/{picture.name}", f"{stem}_prepared.png", LEVELS)
        decoded = decode_bytes(picture.data, label=picture.name, pictures=preprocessing.pictures)
        staging.add(pair.file, picture.data)
        staging.add(pair.prepared, encode_png(preprocessing.apply(np.asarray(decoded.image))))
        yield pair
