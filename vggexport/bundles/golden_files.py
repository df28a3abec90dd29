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
from vggexport.bundles.decoder_pictures import oriented_pictures, subsampled_picture
from vggexport.bundles.golden_frames import GoldenFrame, frame_pixels, golden_frames
from vggexport.bundles.golden_images import ChosenImages
from vggexport.bundles.golden_pictures import GoldenPicture, golden_pictures
from vggexport.bundles.png import encode_png
from vggexport.bundles.preprocessing import Preprocessing
from vggexport.bundles.staging import Staging

SOURCE_SHAPES = {"landscape": (1.7, 2.45), "portrait": (2.1, 1.35), "small": (0.6, 0.8)}
"""Height and width of the images that show the preprocessing, in input sizes: scaled down by odd
factors either way, and scaled up."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPicture:
    """A picture as phones have it, and what the preprocessing makes of it.

    Pixels are uint8 (height, width, 3), as the networks take them.
    """

    pair: GoldenSource
    data: bytes
    pixels: NDArray[np.uint8]


def prepared_pictures(preprocessing: Preprocessing) -> Iterator[PreparedPicture]:
    """All golden pictures that the models answer."""
    for picture in golden_pictures(preprocessing.size):
        yield _prepared(picture, preprocessing, picture.name.replace(".", "_"))


def _prepared(picture: GoldenPicture, preprocessing: Preprocessing, stem: str) -> PreparedPicture:
    place = f"golden/pictures/{stem}_prepared.png"
    pair = GoldenSource(f"golden/pictures/{picture.name}", place, picture.levels)
    decoded = decode_bytes(picture.data, label=picture.name, pictures=preprocessing.pictures)
    return PreparedPicture(pair, picture.data, preprocessing.apply(np.asarray(decoded.image)))


def write_golden(
    staging: Staging,
    golden: ChosenImages,
    reference: GivenAnswers,
    given: Sequence[GivenAnswers],
    preprocessing: Preprocessing,
    pictures: Sequence[PreparedPicture],
) -> None:
    """Adds golden images, pairs that show the preprocessing, and all answers.

    ``reference`` is what the network's finest form gave, ``pictures`` are those that phones have.
    """
    inputs = []
    for number, (label, image) in enumerate(zip(golden.labels, golden.pixels, strict=True)):
        inputs.append(GoldenInput(f"golden/inputs/{number:03}.png", label))
        staging.add(inputs[-1].file, encode_png(image))
    pairs = [*_write_pairs(staging, preprocessing)]
    for picture in (*pictures, *_decoded(preprocessing)):
        pairs.append(picture.pair)
        staging.add(picture.pair.file, picture.data)
        staging.add(picture.pair.prepared, encode_png(picture.pixels))
    shown = tuple(GoldenInput(p.pair.prepared, p.pair.file) for p in pictures)
    frames = tuple(_write_frames(staging))
    answers = GoldenAnswers(
        golden.source, tuple(inputs), tuple(pairs), reference, tuple(given), shown, frames
    )
    staging.add_json(GOLDEN, answers.to_json())


def _decoded(preprocessing: Preprocessing) -> Iterator[PreparedPicture]:
    """What decoders alone are tried with; orientations become the same, unless they are ignored."""
    yield _prepared(subsampled_picture(), preprocessing, "chroma_420_jpg")
    if not preprocessing.pictures.ignore_exif:
        for picture in oriented_pictures():
            yield _prepared(picture, preprocessing, "orientation")


def _write_frames(staging: Staging) -> Iterator[GoldenFrame]:
    for frame, data in golden_frames():
        staging.add(frame.file, data)
        staging.add(frame.rgb, encode_png(frame_pixels(data, frame)))
        yield frame


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
