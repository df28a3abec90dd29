"""Stratified splits."""

from pathlib import Path

import numpy as np
import pytest

from calibration import CalibrationDataError, LabelledImages
from calibration.sources import FolderImages
from calibration.splitting import stratified_split


def labelled(*counts):
    targets = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    paths = tuple(f"{number}.png" for number in range(len(targets)))
    source = FolderImages("data", Path("data"), 8, paths)
    return LabelledImages(source, tuple("abcdef"[: len(counts)]), targets)


def test_every_class_has_its_share():
    images = labelled(40, 12, 2)
    first, second = stratified_split(images, 0.25, seed=0)
    assert np.bincount(images.targets[second]).tolist() == [10, 3, 1]
    assert sorted([*first, *second]) == list(range(54))


def test_small_classes_keep_an_image_on_either_side():
    images = labelled(2, 3, 9)
    for fraction in (0.01, 0.99):
        first, second = stratified_split(images, fraction, seed=0)
        for part in (first, second):
            assert np.bincount(images.targets[part], minlength=3).min() >= 1


def test_the_seed_decides():
    images = labelled(40, 40)
    one, again, other = (stratified_split(images, 0.25, seed=s)[1].tolist() for s in (1, 1, 2))
    assert one == again != other


def test_a_class_with_one_image_is_refused():
    with pytest.raises(CalibrationDataError, match="class 'b' has 1 image, and a split needs 2"):
        stratified_split(labelled(5, 1), 0.25, seed=0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0])
def test_a_fraction_that_leaves_a_part_empty_is_refused(fraction):
    with pytest.raises(CalibrationDataError, match="pass a share between 0 and 1"):
        stratified_split(labelled(5, 5), fraction, seed=0)
