"""Golden images written into a bundle, with the answers to them and pairs for preprocessing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import calibration
from calibration.decoding import decode_bytes
from vggexport.bundles import GOLDEN
from vggexport.bundles.answers import GivenAnswers, GoldenAnswers, GoldenInput, GoldenSource
from vggexport.bundles.golden_images import ChosenImages
from vggexport.bundles.golden_pictures import LEVELS, golden_pictures
from vggexport.bundles.png import encode_png
from vggexport.bundles.preprocessing import Preprocessing
from vggexport.bundles.staging import Staging

SOURCE_SHAPES = {"landscape": (1.7, 2.45), "portrait": (2.1, 1.35), "small": (0.6, 0.8)}
"""Height and width of the images that show the preprocessing, in input sizes: scaled down by odd
factors either way, and scaled up."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPicture:
    """A picture as phones have it, and what the preprocessing makes of it.

    Attributes:
        pair: Their names in the bundle.
        data: Bytes of the picture.
        pixels: uint8 (height, width, 3), as the networks take them.
    """

    pair: GoldenSource
    data: bytes
    pixels: NDArray[np.uint8]


def prepared_pictures(preprocessing: Preprocessing) -> Iterator[PreparedPicture]:
    """All golden pictures."""
    for picture in golden_pictures(preprocessing.size):
        stem = f"golden/pictures/{picture.name.replace('.', '_')}"
        pair = GoldenSource(f"golden/pictures/{picture.name}", f"{stem}_prepared.png", LEVELS)
        decoded = decode_bytes(picture.data, label=picture.name, pictures=preprocessing.pictures)
        pixels = preprocessing.apply(np.asarray(decoded.image))
        yield PreparedPicture(pair, picture.data, pixels)


def write_golden(
    staging: Staging,
    golden: ChosenImages,
    reference: GivenAnswers,
    given: Sequence[GivenAnswers],
    preprocessing: Preprocessing,
    pictures: Sequence[PreparedPicture],
) -> None:
    """Adds golden images, pairs that show the preprocessing, and all answers.

    Args:
        staging: The bundle on its way.
        golden: The images.
        reference: What the network's finest form gave for them.
        given: What each model gave.
        preprocessing: How pictures become as many pixels.
        pictures: Those as phones have them.
    """
    inputs = []
    for number, (label, image) in enumerate(zip(golden.labels, golden.pixels, strict=True)):
        inputs.append(GoldenInput(f"golden/inputs/{number:03}.png", label))
        staging.add(inputs[-1].file, encode_png(image))
    pairs = [*_write_pairs(staging, preprocessing)]
    for picture in pictures:
        pairs.append(picture.pair)
        staging.add(picture.pair.file, picture.data)
        staging.add(picture.pair.prepared, encode_png(picture.pixels))
    shown = tuple(GoldenInput(p.pair.prepared, p.pair.file) for p in pictures)
    answers = GoldenAnswers(
        golden.source, tuple(inputs), tuple(pairs), reference, tuple(given), shown
    )
    staging.add_json(GOLDEN, answers.to_json())


def _write_pairs(staging: Staging, preprocessing: Preprocessing) -> Iterator[GoldenSource]:
    """Images of other sizes, and what the preprocessing makes of them."""
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
