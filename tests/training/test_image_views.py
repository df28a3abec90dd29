"""Views: the centre crop, and random crops that repeat."""

import dataclasses

import numpy as np
import pytest

from calibration import UnreadableImageError
from vggexport.network.training_recipe import PAPER
from vggexport.training.image_views import CENTRE, Views


def test_the_centre_is_what_inference_sees(source):
    views = Views(source, PAPER)
    for index in (0, 9):
        np.testing.assert_array_equal(views.pixels(index, CENTRE), source.read(index).pixels)


def test_a_view_repeats_and_differs_from_others(source):
    views = Views(source, PAPER)
    one, again, other = views.pixels(3, 1), views.pixels(3, 1), views.pixels(3, 2)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    seeded = Views(source, dataclasses.replace(PAPER, seed=1)).pixels(3, 1)
    assert not np.array_equal(one, seeded)


def test_scales_are_in_proportion_to_the_crop(source):
    """At 224 for a crop of 224 the short side fits exactly: rows of 16 pixels are all there."""
    whole = dataclasses.replace(PAPER, min_scale=224, max_scale=224, flip=False)
    found = {Views(source, whole).pixels(0, view)[:, 0].tobytes() for view in range(1, 30)}
    moved = {Views(source, PAPER).pixels(0, view)[:, 0].tobytes() for view in range(1, 30)}
    assert len(found) <= 5  # 16 of 20 rows, at five places
    assert len(moved) > 20


def test_what_is_no_image_is_named(source, tmp_path):
    (tmp_path / "x.png").write_text("no image")
    views = Views(dataclasses.replace(source, root=tmp_path, paths=("x.png",)), PAPER)
    with pytest.raises(UnreadableImageError, match=r"x\.png"):
        views.pixels(0, 1)
