"""The mistakes with images: each undoes what it imitates, and no two are alike."""

import numpy as np
import pytest

from vggexport.diagnosis.images import (
    ImageFault,
    image_fault_pairs,
    image_faults,
    lay_out_as_nchw,
    prepare_again,
    reread_as_nchw,
)
from vggexport.network.spec import MEAN_RGB

FAULTS = (*image_faults(MEAN_RGB), *image_fault_pairs(MEAN_RGB))
ROUNDING = 255 * 2**-22
"""Two float32 roundings of values up to 255, and a few of the smaller ones in between."""


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.undo], ids=lambda fault: fault.name)
def test_what_is_undone_first_is_imitated_without_a_trace(fault: ImageFault, pixels):
    images = pixels.astype(np.float32)
    assert fault.undo is not None
    again = fault.imitate(fault.undo(images))
    assert again.shape == images.shape
    assert np.abs(again - images).max() <= ROUNDING


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_mistake_changes_images(fault: ImageFault, pixels):
    assert np.abs(fault.imitate(pixels.astype(np.float32)) - pixels).max() > 1


@pytest.mark.parametrize("name", ["resized-twice", "resized-nearest"])
def test_rectangles_stay_rectangles(name, pixels):
    fault = next(fault for fault in FAULTS if fault.name == name)
    assert fault.imitate(pixels[:, :, :10]).shape == (2, 16, 10, 3)


def test_no_two_mistakes_are_alike(pixels):
    images = pixels.astype(np.float32)
    seen = [fault.imitate(images) for fault in FAULTS]
    for index, one in enumerate(seen):
        for other in seen[:index]:
            assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize(
    "fault", [f for f in FAULTS if f.keeps_pixels], ids=lambda fault: fault.name
)
def test_pixels_stay_pixels(fault: ImageFault, pixels):
    for change in (fault.imitate, fault.undo or fault.imitate):
        assert change(pixels).dtype == np.uint8
        assert change(pixels).shape == pixels.shape


def test_nchw_memory_holds_one_channel_after_the_other():
    image = np.arange(2 * 2 * 3).reshape(1, 2, 2, 3)  # pixel k has the values 3k, 3k+1, 3k+2
    assert lay_out_as_nchw(image).ravel().tolist() == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]
    assert reread_as_nchw(image)[0, 0, 0].tolist() == [0, 4, 8]


def test_preparing_again_shows_the_centre_larger():
    image = np.zeros((1, 224, 224, 3), np.uint8)
    image[:, 14:210, 14:210] = 200  # what is left of 224 after a crop of 196 = 224 * 224 / 256
    again = prepare_again(image)
    assert again[:, 2:-2, 2:-2].min() == 200


def test_the_mean_is_the_networks_own(pixels):
    images = pixels.astype(np.float32)
    (missing,) = (f for f in image_faults((1.0, 2.0, 3.0)) if f.name == "mean-missing")
    assert np.allclose(missing.imitate(images) - images, (1, 2, 3))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_fix_is_for_those_who_export_and_for_those_who_have_the_file_alone(fault: ImageFault):
    """Not "divide the pixels" alone, which sends the owner of the weights to the wrong place."""
    first, *rest = fault.fix.split("; with the file alone, ")
    assert "before it" not in first
    assert len(rest) == (fault.undo is not None)
    if fault.name.endswith("expects-0-1"):
        assert first.startswith("with its weights, export it again and state the preprocessing")
        assert rest[0].startswith("divide the pixels by 255 before it")
