"""Mistakes that only pixels tell of, in images that the tool makes."""

import numpy as np
import pytest

from calibration.array_notes import are_channels_swapped, array_notes, is_misread
from calibration.synthetic import synthetic_image


def made(count, warmth=0):
    """Images with the statistics of photographs; ``warmth`` is added to red, taken from blue."""
    images = np.stack([synthetic_image(3, index, 48) for index in range(count)]).astype(int)
    shift = np.random.default_rng(1).normal(warmth, 30, (count, 1, 1, 1))
    return np.clip(images + shift * (1, 0, -1), 0, 255).astype(np.uint8)


def as_planes(images):
    """Channels first, read as if they were last."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(images.shape)


def test_right_images_give_no_note():
    assert list(array_notes(made(40, warmth=20))) == []


def test_planes_that_are_read_as_pixels_are_noted():
    images = made(40, warmth=20)
    assert not is_misread(list(images))
    (note,) = array_notes(as_planes(images))
    assert "memory in another order" in note


def test_blue_that_prevails_is_noted():
    (note,) = array_notes(made(40, warmth=20)[..., ::-1])
    assert "it looks like BGR" in note
    assert not are_channels_swapped(list(made(31, warmth=20)[..., ::-1]))  # too few to say


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((20, 8, 8, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8),
        np.repeat(made(20)[..., :1], 3, axis=3),
        np.zeros((20, 1, 1, 3), np.uint8),
    ],
    ids=["black", "noise", "gray", "one pixel"],
)
def test_what_tells_nothing_gives_no_note(images):
    assert list(array_notes(images)) == []
